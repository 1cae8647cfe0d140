"""The doors in Python and in SQL know the same secrets, and say alike what they refuse."""

from __future__ import annotations

import psycopg
import pytest

from fundlyhub import Event, publish_events
from fundlyhub.errors import InvalidEvent
from fundlyhub.events.secrets import secret_names
from fundlyhub.secret_keys import PLAIN_SESSIONS
from fundlyhub.settings import Settings
from tests.support.make import initiated, search


@pytest.mark.parametrize("kind", ["user.logged_in", "moon.landed", *PLAIN_SESSIONS])
def test_both_doors_remove_the_same_names(dsn: str, kind: str) -> None:
    with psycopg.connect(dsn) as db:
        row = db.execute("SELECT events.secret_names(%s)", (kind,)).fetchone()
    assert row is not None
    assert set(row[0]) == secret_names(kind), "a change of the list wants a migration that makes the function anew"


def test_python_removes_secrets_deep_in_metadata() -> None:
    event = Event.of(initiated(), metadata={"a": [{"passcode": "s3cret", "kept": 1}]})
    assert event.metadata == {"a": [{"kept": 1}]}


def test_what_postgresql_writes_longer_than_it_may_is_an_invalid_event(settings: Settings) -> None:
    large = Event.of(search("fine"), metadata={"a": [1e300] * 2_000})
    for events in ([large], [large, Event.of(initiated())]):
        with pytest.raises(InvalidEvent, match=r"^payload and metadata must have at most 393216 bytes"):
            publish_events(events)
