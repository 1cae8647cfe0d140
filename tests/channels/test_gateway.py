"""The doors: the sender that the settings ask for, behind its breaker, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from fundlyhub.channels.breaker import DEFAULTS, Breaker
from fundlyhub.channels.gateway import Door, door
from fundlyhub.channels.messages import CHANNELS, Mail
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Permanent, Snooze, Transient, WrongUse
from fundlyhub.settings import get_settings
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.channels.senders import FROM, KEY, SID, TOKEN, assert_nothing_private, mail, sendgrid_at, service_account


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, valkey: Valkey, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """This process's settings: a folder of its own, and Valkey."""
    monkeypatch.setenv("FUNDLYHUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FUNDLYHUB_REDIS_URL", valkey.url)
    get_settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


def guarded(url: str) -> Door[Mail]:
    return Door(sendgrid_at(url), limit=8, breaker=Breaker(f"test-{uuid4()}"))


def test_without_settings_all_messages_become_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    doors = {channel: door(channel) for channel in CHANNELS}
    assert {channel: (one.provider, one.limit, one.timeout) for channel, one in doors.items()} == {
        "email": ("file", 50, 10.0), "push": ("file", 50, 10.0), "sms": ("file", 50, 10.0),
    }  # fmt: skip
    for one in doors.values():
        one.check()
    door("email").send(mail())
    assert len([*(tmp_path / "outbox" / "email").iterdir()]) == 1


def test_a_process_has_one_of_each_until_its_settings_change(environment: pytest.MonkeyPatch) -> None:
    assert door("email") is door("email")
    files = door("email")
    environment.setenv("FUNDLYHUB_EMAIL_FROM", FROM)
    get_settings.cache_clear()
    assert door("email") is not files


def test_each_backend_has_its_door(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    account = service_account(tmp_path, "http://127.0.0.1:1/token")
    variables = {
        "EMAIL_BACKEND": "sendgrid", "SENDGRID_API_KEY": KEY, "PUSH_BACKEND": "fcm",
        "FCM_SERVICE_ACCOUNT_FILE": str(account), "SMS_BACKEND": "twilio", "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM": "+15550000000",
    }  # fmt: skip
    for name, value in variables.items():
        environment.setenv(f"FUNDLYHUB_{name}", value)
    get_settings.cache_clear()
    assert [door(channel).provider for channel in CHANNELS] == ["sendgrid", "fcm", "twilio"]
    assert_nothing_private(*[vars(door(channel)) for channel in CHANNELS], get_settings())
    environment.setenv("FUNDLYHUB_EMAIL_BACKEND", "smtp")
    environment.setenv("FUNDLYHUB_SMTP_URL", "smtp://ada:p4ssword@127.0.0.1:1")
    get_settings.cache_clear()
    assert door("email").provider == "smtp"
    assert_nothing_private(vars(door("email")), get_settings())


def test_an_account_that_is_not_there_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FUNDLYHUB_PUSH_BACKEND", "fcm")
    environment.setenv("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE", "/nowhere")
    get_settings.cache_clear()
    with pytest.raises(WrongUse, match="FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE"):
        door("push")


def test_what_fails_in_a_row_closes_the_door_and_no_one_is_asked() -> None:
    with SendGrid.running() as fake:
        one = guarded(fake.url)
        fake.always = Behaviour(503)
        for failures in range(1, DEFAULTS.failures + 1):
            one.check()
            with pytest.raises(Transient if failures < DEFAULTS.failures else Snooze):
                one.send(mail())
        with pytest.raises(Snooze):
            one.check()
        with pytest.raises(Snooze):
            one.send(mail())
        assert fake.requests == DEFAULTS.failures


def test_what_is_wrong_with_one_message_does_not() -> None:
    with SendGrid.running() as fake:
        one = guarded(fake.url)
        fake.always = Behaviour(400)
        for _ in range(2 * DEFAULTS.failures):
            with pytest.raises(Permanent):
                one.send(mail())
        one.check()
