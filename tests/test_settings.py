"""Settings from the environment: what is wrong is named in one line, and its value is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fundlyhub.errors import WrongUse
from fundlyhub.settings import get_settings


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
