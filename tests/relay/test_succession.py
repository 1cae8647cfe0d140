"""A new processor takes event types over: it begins where the former one's sweep stands, so that none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import psycopg
import pytest
from sqlalchemy import Connection

from fundlyhub import Event, publish_events
from fundlyhub.database import connect
from fundlyhub.processing.processor import ProjectionProcessor
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.registration import register, starts
from fundlyhub.settings import Settings
from tests.support.make import initiated


class Former(ProjectionProcessor, register=False):
    """Had all gifts in the release before."""

    name = "test_former"
    handles = ("donation.*",)

    def handle(self, event: Event, db: Connection) -> None:
        """Nothing."""


class Heir(Former, register=False):
    """Has them now."""

    name = "test_heir"
    history = False
    takes_over: ClassVar[str | None] = "test_former"


class Stranger(Heir, register=False):
    """Is new, and takes nothing over."""

    name = "test_stranger"
    takes_over = None


@pytest.fixture
def db(settings: Settings) -> Iterator[psycopg.Connection[object]]:
    """A log that the release before has registered its processor in."""
    with connect("events", settings=settings, autocommit=True) as connection:
        register(connection, {Former.name: Former})
        yield connection


def published(count: int) -> int:
    """So many events more; the last position."""
    return max(event.position or 0 for event in publish_events(initiated() for _ in range(count)))


def swept(db: psycopg.Connection[object]) -> None:
    """The former one's sweep has looked at all that there is."""
    cursor = SnapshotCursor.take(db, f"sweep:{Former.name}")
    if cursor.open():
        cursor.move(None)


def begins(db: psycopg.Connection[object]) -> dict[str, int]:
    """The new release's relay leads."""
    register(db, {cls.name: cls for cls in (Former, Heir, Stranger)})
    return starts(db)


def test_it_begins_where_the_sweep_stands_and_not_at_the_end(db: psycopg.Connection[object]) -> None:
    settled = published(5)
    swept(db)
    last = published(3)
    assert begins(db) == {"test_former": 0, "test_heir": settled, "test_stranger": last}


def test_when_all_is_swept_it_begins_at_the_end(db: psycopg.Connection[object]) -> None:
    last = published(5)
    swept(db)
    assert begins(db)["test_heir"] == last


def test_when_nothing_was_swept_yet_it_begins_where_the_former_one_began(db: psycopg.Connection[object]) -> None:
    published(5)
    SnapshotCursor.take(db, f"sweep:{Former.name}")
    assert begins(db)["test_heir"] == 0


def test_without_a_sweep_it_is_a_new_processor_as_any(db: psycopg.Connection[object]) -> None:
    last = published(5)
    assert begins(db)["test_heir"] == last


def test_who_is_registered_already_stays_where_it_began(db: psycopg.Connection[object]) -> None:
    published(5)
    swept(db)
    before = begins(db)
    published(5)
    swept(db)
    assert begins(db) == before
