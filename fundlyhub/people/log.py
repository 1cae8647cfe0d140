"""Reads the log for what it says about a person, in portions along its primary key, and overwrites it there.

The log has no index for this, since every publisher would pay for it: a look at a person reads all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events.encoding import dumps
from fundlyhub.events.log import representable
from fundlyhub.people.belongings import mentions
from fundlyhub.people.nesting import shallow
from fundlyhub.people.person import Person
from fundlyhub.people.redaction import Json, Redacted, redact, redact_all

PAGE = 500
"""Events that are read at a time: a row may be large."""

_DIGITS = 18
"""Digits of a number that the encoder takes for certain; Python reads none of more than 4,300."""

_COLUMNS = f"""
    position, id, type, version, {representable("occurred_at")}, {representable("recorded_at")}, correlation_id,
    causation_id, payload::text, metadata::text
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM events.events WHERE position > %(after)s AND position <= %(until)s
    ORDER BY position LIMIT %(limit)s
"""  # noqa: S608  # our own constants
_AT = f"SELECT {_COLUMNS} FROM events.events WHERE position = ANY (%s) ORDER BY position"  # noqa: S608  # the same
# The second permitted update of the log, beside `relay rebase`: facts stay, and so does the transaction's id.
# The owner writes it; for the role that erases a function does, which changes nothing but words.
_OVERWRITE = """
    UPDATE events.events SET payload = %(payload)s::jsonb, metadata = %(metadata)s::jsonb
    WHERE position = %(position)s AND id = %(id)s
"""
_REDACT = "SELECT events.redact(%(position)s, %(id)s, %(payload)s::jsonb, %(metadata)s::jsonb)"
_IS_OWNER = "SELECT has_column_privilege('events.events', 'payload', 'UPDATE')"
_CORRECTIONS = """
    SELECT c.processor, c.position, c.version, e.type, c.payload::text
    FROM events.corrections c JOIN events.events e USING (position) WHERE c.position = ANY (%s)
"""
_CORRECT = "UPDATE events.corrections SET payload = %(payload)s::jsonb WHERE (processor, position) = (%(of)s, %(at)s)"
_REDACT_CORRECTION = "SELECT events.redact_correction(%(of)s, %(at)s, %(payload)s::jsonb)"


class Found(NamedTuple):
    """An event about a person: as it is in the log, and without their words."""

    row: StoredEvent
    redacted: Redacted

    @property
    def event(self) -> Event | None:
        """The event without their words, as processors read it; None for one that cannot be read."""
        payload, metadata = text(self.redacted.payload), text(self.redacted.metadata)
        with suppress(InvalidEvent):
            return Event.stored(self.row._replace(payload=payload, metadata=metadata))
        return None


def pages(db: psycopg.Connection[Any], after: int, until: int) -> Iterator[list[StoredEvent]]:
    """All events above ``after`` and up to ``until``."""
    while rows := db.execute(_PAGE, {"after": after, "until": until, "limit": PAGE}).fetchall():
        yield [StoredEvent(*row) for row in rows]
        after = rows[-1][0]


def at(db: psycopg.Connection[Any], positions: Sequence[int]) -> list[StoredEvent]:
    """The events at these positions."""
    return [StoredEvent(*row) for row in db.execute(_AT, (list(positions),))]


def about(rows: Iterable[StoredEvent], person: Person) -> list[Found]:
    """Those of these events that are about the person."""
    found = []
    for row in rows:
        payload, metadata = parsed(row.payload), parsed(row.metadata)
        if payload is None or metadata is None:
            continue
        redacted = redact(row.type, row.version, payload, metadata, person)
        if _too_deep(row) and (redacted or mentions(f"{row.payload} {row.metadata}", person)):
            redacted = redact_all(redacted, payload, metadata)
        if redacted is not None:
            found.append(Found(row, redacted))
    return found


def _too_deep(row: StoredEvent) -> bool:
    return any(said is not None and shallow(said) != said for said in (row.payload, row.metadata))


def overwrite(db: psycopg.Connection[Any], found: Iterable[Found], person: Person) -> int:
    """Overwrite these events in the log, and what corrections of dead letters say of them; how many changed."""
    some = list(found)
    changed = [one for one in some if one.redacted.changed]
    owner = db.execute(_IS_OWNER).fetchone() == (True,)
    write, correct = (_OVERWRITE, _CORRECT) if owner else (_REDACT, _REDACT_CORRECTION)
    with db.transaction():
        for row, redacted in changed:
            given = {"payload": text(redacted.payload), "metadata": text(redacted.metadata)}
            db.execute(write, {**given, "position": row.position, "id": row.id})
        for processor, position, version, kind, payload in db.execute(
            _CORRECTIONS, ([one.row.position for one in some],)
        ).fetchall():
            said = parsed(payload)
            without = None if said is None else redact(kind, version, said, {}, person)
            if without is not None and without.changed:
                db.execute(correct, {"payload": text(without.payload), "of": processor, "at": position})
    return len(changed)


def parsed(stored: str | None) -> Json | None:
    """The JSON object of a column; None for what is none, or what nothing can read."""
    try:
        value = read_json(shallow(stored or ""))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_json(text: str) -> Any:
    """What a JSON text says, each number as it is, however many digits it has. Raises ValueError."""
    return json.loads(text, parse_float=Decimal, parse_int=_whole)


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _DIGITS else Decimal(digits)


def text(value: Json) -> str:
    """The JSON text of a column, with all digits of its numbers."""
    return dumps(value).decode()
