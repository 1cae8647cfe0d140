"""Settings from the environment: what is wrong is named in one line, and its value is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.errors import WrongUse
from fundlyhub.settings import get_settings
from fundlyhub.unknown_variables import unknown_variables


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SEARCH_BACKEND": "elasticsearch"}, "ELASTICSEARCH_URL: must be set, since FUNDLYHUB_SEARCH_BACKEND is"),
        ({"ELASTICSEARCH_URL": "s3cret.example:9200"}, "ELASTICSEARCH_URL: must begin with one of http://, https://"),
        ({"SEARCH_BACKEND": "solr"}, "SEARCH_BACKEND: Input should be 'postgres' or 'elasticsearch'"),
        ({"BROKER_URL": "s3cret://x"}, "BROKER_URL: must begin with one of"),
        ({"EMAIL_BACKEND": "sendgrid"}, "SENDGRID_API_KEY: must be set, since FUNDLYHUB_EMAIL_BACKEND is sendgrid"),
        ({"EMAIL_BACKEND": "sendgrid", "SENDGRID_API_KEY": ""}, "SENDGRID_API_KEY: must be set"),
        ({"EMAIL_BACKEND": "smtp"}, "SMTP_URL: must be set, since FUNDLYHUB_EMAIL_BACKEND is smtp"),
        ({"SMTP_URL": "http://ada:s3cret@x"}, "SMTP_URL: must begin with one of smtp://, smtps://"),
        ({"EMAIL_FROM": "s3cret"}, "EMAIL_FROM: must be an address, or a name with an address in angle brackets"),
        ({"EMAIL_FROM": "x <a@s3cret.example>\nBcc: b@s3cret.example"}, "EMAIL_FROM: must be an address"),
        ({"PUSH_BACKEND": "fcm"}, "FCM_SERVICE_ACCOUNT_FILE: must be set, since FUNDLYHUB_PUSH_BACKEND is fcm"),
        ({"SMS_BACKEND": "twilio"}, "TWILIO_ACCOUNT_SID: must be set, since FUNDLYHUB_SMS_BACKEND is twilio"),
        (
            {"SMS_BACKEND": "twilio", "TWILIO_ACCOUNT_SID": "s3cret"},
            "TWILIO_ACCOUNT_SID: must be AC and 32",
        ),
        ({"SMS_BACKEND": "twilio", "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}"}, "TWILIO_AUTH_TOKEN: must be set, since"),
        ({"TWILIO_BASE_URL": "s3cret"}, "TWILIO_BASE_URL: must begin with one of http://, https://"),
        ({"PUBLIC_URL": "s3cret.example"}, "PUBLIC_URL: must begin with one of http://, https://"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"FUNDLYHUB_{name}", value)
    with pytest.raises(WrongUse, match=f"wrong setting: FUNDLYHUB_{said}") as caught:
        get_settings()
    assert "s3cret" not in str(caught.value)


def test_elasticsearch_with_its_address_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDLYHUB_SEARCH_BACKEND", "elasticsearch")
    monkeypatch.setenv("FUNDLYHUB_ELASTICSEARCH_URL", "https://search.example:9200")
    assert get_settings().search_backend == "elasticsearch"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("FUNDLYHUB_REDIS_URI", "FUNDLYHUB_REDIS_URI is no setting: did you mean FUNDLYHUB_REDIS_URL?"),
        ("FUNDLYHUB_EVENT_DSN", "FUNDLYHUB_EVENT_DSN is no setting: did you mean FUNDLYHUB_EVENTS_DSN?"),
        ("FUNDLYHUB_COLOUR", "FUNDLYHUB_COLOUR is no setting; docs/settings.md lists them"),
        ("FUNDLYHUB_\x1b[31m", "FUNDLYHUB_… is no setting; docs/settings.md lists them"),
    ],
)
def test_a_variable_that_is_no_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.setenv(name, "s3cret")
    assert unknown_variables() == [said]


def test_every_variable_of_the_prefix_that_is_a_setting_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in type(get_settings()).model_fields:
        monkeypatch.setenv(f"FUNDLYHUB_{name.upper()}", "x")
    assert unknown_variables() == []


def test_a_setting_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("postgresql://x:s3cret@y/z\n")
    monkeypatch.setenv("FUNDLYHUB_EVENTS_DSN_FILE", str(file))
    monkeypatch.setenv("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE", "/a/file/of/its/own")
    assert get_settings().dsn("events") == "postgresql://x:s3cret@y/z"
    assert get_settings().fcm_service_account_file == Path("/a/file/of/its/own")
    assert unknown_variables() == []
    assert "s3cret" not in repr(get_settings())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "FUNDLYHUB_REDIS_URL_FILE: cannot read .*: No such file or directory"),
        (b"", "FUNDLYHUB_REDIS_URL_FILE: .* is empty"),
        (b"\n", "FUNDLYHUB_REDIS_URL_FILE: .* is empty"),
        (b"\xff s3cret", "FUNDLYHUB_REDIS_URL_FILE: .* is no text"),
        (b"x" * 100_000, "FUNDLYHUB_REDIS_URL_FILE: .* is too large"),
        (b"s3cret://x", "wrong setting: FUNDLYHUB_REDIS_URL: must begin with one of"),
    ],
)
def test_a_file_that_holds_no_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv("FUNDLYHUB_REDIS_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(WrongUse, match=said) as caught:
        get_settings()
    assert "s3cret" not in str(caught.value)


def test_a_setting_that_is_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUNDLYHUB_SECRET_KEY", "s3cret")
    monkeypatch.setenv("FUNDLYHUB_SECRET_KEY_FILE", str(tmp_path))
    with pytest.raises(WrongUse, match="set FUNDLYHUB_SECRET_KEY or FUNDLYHUB_SECRET_KEY_FILE, not both"):
        get_settings()
