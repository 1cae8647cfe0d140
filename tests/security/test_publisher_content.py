"""Attacks by what a service publishes in SQL: texts that are too large, nesting, numbers, and secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.security.publishers import log, publisher

Db = psycopg.Connection[Any]
TYPE = "user.followed_user"
MB = 1024 * 1024


@pytest.fixture
def api(dsn: str) -> Iterator[Db]:
    """A publisher's connection."""
    with publisher(dsn) as own, psycopg.connect(own, autocommit=True) as db:
        yield db


LARGE = {
    "a text that compresses to nothing": """payload => jsonb_build_object('a', repeat('x', 80000000))""",
    "many small values": """payload => jsonb_build_object(
        'a', (SELECT jsonb_agg(1) FROM generate_series(1, 200000)))""",
    "metadata of empty lists": """payload => '{}',
        metadata => jsonb_build_object('a', (SELECT jsonb_agg('[]'::jsonb) FROM generate_series(1, 100000)))""",
    "both, each within the limit": """payload => jsonb_build_object('a', repeat('x', 250000)),
        metadata => jsonb_build_object('a', repeat('x', 250000))""",
    "short numbers of many digits": """payload => jsonb_build_object('a', (
        SELECT jsonb_agg(('1e' || 100000 + n)::numeric) FROM generate_series(1, 20) n))""",
    "nesting of payload": """payload => (repeat('{"a":', 5000) || '1' || repeat('}', 5000))::jsonb""",
    "nesting of metadata": """payload => '{}',
        metadata => ('{"a":' || repeat('[', 33) || repeat(']', 33) || '}')::jsonb""",
    "an aggregate's id": """payload => '{}', aggregate_id => repeat('x', 10000000)""",
    "an aggregate's type": """payload => '{}', aggregate_type => repeat('x', 10000000)""",
}


@pytest.mark.parametrize("given", LARGE.values(), ids=list(LARGE))
def test_nothing_large_gets_into_the_log(dsn: str, api: Db, given: str) -> None:
    with pytest.raises(psycopg.Error):
        api.execute(f"SELECT events.publish_event('{TYPE}', {given})".encode())
    assert log(dsn, "position") == []


SECRET = {"passcode": "s3cret", "kept": 1}
HIDDEN = {
    "deep in an object": ("campaign.created", {"a": {"b": {"c": SECRET}}}, {}),
    "in a list": ("campaign.created", {"a": [[SECRET, 1], SECRET]}, {}),
    "in a type that nobody knows": ("moon.landed", SECRET, {}),
    "in a type that has none": (TYPE, SECRET, {}),
    "as a hash": (TYPE, {"linkTokenHash": "s3cret", "passcode_hash": "s3cret"}, {}),
    "as a session": ("moon.landed", {"a": [{"sessionId": "s3cret"}]}, {}),
    "deep in the metadata": (TYPE, {}, {"a": [{"b": SECRET}]}),
    "behind an escape": (TYPE, {"p<a>sscode": "s3cret"}, {}),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=list(HIDDEN))
def test_no_secret_gets_into_the_log(dsn: str, api: Db, hidden: tuple[str, Any, Any]) -> None:
    kind, payload, metadata = hidden
    texts = {"type": kind, "payload": json.dumps(payload), "metadata": json.dumps(metadata)}
    given = {name: text.replace("<a>", "\\u0061") for name, text in texts.items()}
    api.execute("SELECT events.publish_event(%(type)s, %(payload)s::jsonb, metadata => %(metadata)s::jsonb)", given)
    assert "s3cret" not in str(log(dsn))
