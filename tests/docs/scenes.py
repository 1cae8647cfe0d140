"""What a page's blocks find: the events, letters and entries that they speak of, and names for their Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import redis

from fundlyhub.database import get_engine
from fundlyhub.settings import get_settings
from tests.support import ROOT
from tests.support.platform import Platform

FIRST = ROOT / "examples" / "first.jsonl"
ANN, BO, CY, WELLS = (UUID(f"00000000-0000-4000-8000-{number:012d}") for number in (1, 2, 3, 11))

WORDS = {
    "USER_ID": str(CY),
    "CAMPAIGN_ID": str(WELLS),
    "TEXT": "a test of the docs",
    "ID": "1",
}
"""What stands for each word in capitals in a command."""

STDIN = "somebody@example.org\n"
"""What a command reads that a page gives nothing to read: an address."""

EDITOR = "sed -i s/25/26/"
"""The operators' editor."""

ROLES = {"docs/publishing.md": "CREATE ROLE api"}
"""What has to be there for the SQL of a page, in its own transaction."""

_LETTERS = """
    INSERT INTO events.dead_letters OVERRIDING SYSTEM VALUE
    SELECT letter, processor, position, id, type, 'InvalidEvent', 'payload.amount: must be a number', 'a traceback',
           CASE letter WHEN 42 THEN 'another fault' ELSE '4f8dd7568f00' END, 1, now(), now(), 'open',
           aggregate_type, aggregate_id, now()
    FROM unnest(%(ids)s::bigint[], %(processors)s::text[]) AS given(letter, processor),
         (SELECT * FROM events.events WHERE type = 'donation.completed' ORDER BY position LIMIT 1) AS gift
"""
_NO_LETTERS = "TRUNCATE events.dead_letter_audit, events.dead_letters, events.corrections"


@contextmanager
def letters(platform: Platform) -> Iterator[None]:
    """Dead letters under the numbers that pages speak of, of an event that was applied meanwhile."""
    some = {
        1: "campaign_stats",
        2: "search_index",
        42: "activity_feed",
        84: "push_notification",
    }
    (platform.folder / "corrected.json").write_text('{"amount": -1}')
    with psycopg.connect(platform.dsn, autocommit=True) as db:
        db.execute(_LETTERS, {"ids": list(some), "processors": list(some.values())})
        try:
            yield
        finally:
            db.execute(_NO_LETTERS)


@contextmanager
def quarantine(platform: Platform) -> Iterator[None]:
    """Entries 7, 8 and 9 in quarantine: the first can be an event now, the second with another version."""
    said = {"type": "search.query.submitted", "payload": '{"query": "wells"}', "timestamp": "1790000000000"}
    with psycopg.connect(platform.dsn, autocommit=True) as db:
        for number, version in ((7, "1.0.0"), (8, "one"), (9, "two")):
            fields = [[name, value] for name, value in {**said, "version": version}.items()]
            db.execute(
                """INSERT INTO events.quarantine (id, stream, entry_id, digest, type, fields, reason)
                OVERRIDING SYSTEM VALUE VALUES (%s, 'events', %s, '', %s, %s, 'version: is none')""",
                (number, f"{number}-0", said["type"], json.dumps(fields)),
            )
    (platform.folder / "payload.json").write_text(said["payload"])
    yield


Scene = Callable[[Platform], AbstractContextManager[None]]

SCENES: Mapping[str, Scene] = {
    "docs/dead-letters.md": letters,
    "docs/operations.md": letters,
    "docs/streams.md": quarantine,
}


def scene(page: str, platform: Platform) -> AbstractContextManager[None]:
    """What has to be there while a page's blocks run."""
    made = SCENES.get(page)
    return nullcontext() if made is None else made(platform)


def names(page: str) -> dict[str, Any]:
    """The names that a page's Python takes as given, in the process that runs it."""
    makers: Mapping[str, Callable[[], dict[str, Any]]] = {
        "README.md": _a_gift,
        "docs/activity-feed.md": lambda: {"db": get_engine("app").connect(), "user_id": CY, "campaign_id": WELLS},
        "docs/verify.md": _verifying,
    }
    return makers.get(page, dict)()


def _a_gift() -> dict[str, Any]:
    """An API service's engine, session class and a row that it is about to add."""
    from sqlalchemy import Integer, Numeric, Uuid
    from sqlalchemy.orm import DeclarativeBase, mapped_column

    class Base(DeclarativeBase):
        """The service's tables."""

    class Donation(Base):
        """One of them."""

        __tablename__ = "docs_donations"
        number = mapped_column(Integer, primary_key=True)
        id = mapped_column(Uuid)
        campaign_id = mapped_column(Uuid)
        donor_id = mapped_column(Uuid)
        amount = mapped_column(Numeric)

    engine = get_engine("events")
    Base.metadata.create_all(engine)
    gift = Donation(id=UUID(int=77), campaign_id=WELLS, donor_id=BO, amount=Decimal("25.00"))
    return {"engine": engine, "donation": gift}


def _verifying() -> dict[str, Any]:
    from fundlyhub.cli.wiring import known_processors

    return {"settings": get_settings(), "processors": known_processors()}


def streams(url: str) -> None:
    """Streams that are there, so that their status has lines."""
    with redis.Redis.from_url(url) as client:
        client.xgroup_create("events", "fundlyhub", mkstream=True)


__all__ = ["FIRST", "WORDS", "names", "scene", "streams"]
