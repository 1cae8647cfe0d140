"""Stores a batch of entries in one transaction: events in the log, the others in quarantine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event
from fundlyhub.events.publish import insert
from fundlyhub.events.refusal import is_to_blame, reason_of
from fundlyhub.streams.entry import Entry
from fundlyhub.streams.layouts import kind_of, to_event
from fundlyhub.streams.quarantine_model import INGEST
from fundlyhub.streams.raw import to_json

_KEEP = """
    WITH kept AS (
        INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason)
        VALUES (%(stream)s, %(entry_id)s, %(digest)s, %(type)s, %(fields)s::text::jsonb, %(reason)s)
        ON CONFLICT (stream, entry_id, digest) DO NOTHING
        RETURNING id
    )
    INSERT INTO events.quarantine_audit (quarantine_id, who, action, details)
    SELECT id, %(who)s, 'quarantined', %(reason)s FROM kept
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch, in numbers of entries."""

    new: int = 0
    known: int = 0
    quarantined: int = 0


Refused = tuple[Entry, str]
"""An entry and the reason why it cannot be an event."""


def store(db: psycopg.Connection[Any], entries: Sequence[Entry]) -> Stored:
    """Commit all of them; ``db`` is in autocommit. Nothing is there when it raises."""
    readable, refused = read(entries)
    try:
        with db.transaction():
            published = insert([event for _, event in readable], session=db)
            _keep(db, refused)
    except (InvalidEvent, psycopg.Error) as error:
        if not is_to_blame(error):
            raise
    else:
        new = sum(one.is_new for one in published)
        return Stored(new, len(published) - new, len(refused))
    with db.transaction():
        outcomes = [_store_alone(db, entry, event) for entry, event in readable]
        _keep(db, refused)
    return Stored(outcomes.count("new"), outcomes.count("known"), outcomes.count("refused") + len(refused))


def read(entries: Sequence[Entry]) -> tuple[list[tuple[Entry, Event]], list[Refused]]:
    """The events of these entries, and those that cannot be any, with the reason."""
    readable: list[tuple[Entry, Event]] = []
    refused: list[Refused] = []
    for entry in entries:
        try:
            readable.append((entry, to_event(entry)))
        except InvalidEvent as error:
            refused.append((entry, str(error)))
    return readable, refused


def _store_alone(db: psycopg.Connection[Any], entry: Entry, event: Event) -> str:
    """Publish one event, or keep its entry when that alone is to blame."""
    try:
        with db.transaction():  # a savepoint
            (published,) = insert([event], session=db)
    except (InvalidEvent, psycopg.Error) as error:
        if not is_to_blame(error):
            raise
        _keep(db, [(entry, reason_of(error))])
        return "refused"
    return "new" if published.is_new else "known"


def _keep(db: psycopg.Connection[Any], refused: Sequence[Refused]) -> None:
    for entry, reason in refused:
        fields = orjson.dumps(to_json(entry))
        given = {
            "stream": entry.stream, "entry_id": entry.id, "digest": hashlib.sha256(fields).digest(),
            "type": kind_of(entry), "fields": fields.decode(), "reason": reason, "who": INGEST,
        }  # fmt: skip
        db.execute(_KEEP, given)
