"""Corrects the payload of an event, for the runs of the one processor that gave up on it.

The log does not change: the corrected payload is kept beside it, and is used as long as the same event is at its
position.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonpatch
from sqlalchemy import Connection

from fundlyhub.database.audited import reasoned
from fundlyhub.errors import InvalidEvent, WrongState
from fundlyhub.events import Event, StoredEvent, read
from fundlyhub.events.archived import absence
from fundlyhub.events.encoding import dumps
from fundlyhub.events.log import decode
from fundlyhub.events.rules import MAX_BYTES, check_json
from fundlyhub.processing.dead_letters.model import AUDIT, Action

_LETTER = """
    SELECT d.processor, d.position, d.event_id, d.state, d.changed_at, c.version, c.payload::text
    FROM events.dead_letters d
    LEFT JOIN events.corrections c
           ON c.processor = d.processor AND c.position = d.position AND c.event_id = d.event_id
    WHERE d.id = %(id)s FOR UPDATE OF d
"""
_NEIGHBOURS = """
    SELECT other.id FROM events.dead_letters d
    JOIN events.dead_letters other ON other.position = d.position AND other.event_id = d.event_id
    WHERE d.id = %(id)s AND other.id <> d.id AND other.state = 'open' AND (NOT %(corrected)s OR EXISTS (
        SELECT FROM events.corrections c
        WHERE c.processor = other.processor AND c.position = other.position AND c.event_id = other.event_id
    ))
    ORDER BY other.id
"""
_SAVE = """
    INSERT INTO events.corrections (processor, position, event_id, version, payload)
    VALUES (%(processor)s, %(position)s, %(event_id)s, %(version)s, %(payload)s::jsonb)
    ON CONFLICT (processor, position) DO UPDATE
        SET event_id = excluded.event_id, version = excluded.version, payload = excluded.payload
"""
_TAKE_BACK = "DELETE FROM events.corrections WHERE processor = %(processor)s AND position = %(position)s"
_TOUCH = "UPDATE events.dead_letters SET changed_at = clock_timestamp() WHERE id = %(id)s"


@dataclass(frozen=True, slots=True)
class Draft:
    """The payload as the processor would get it now: JSON text, or None when it is far too large to be read."""

    letter: int
    version: str
    payload: str | None
    as_of: datetime
    """When the letter was last changed; a correction is refused if it has been changed since."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction came to, in names of fields: which differ now, and which the type does not know."""

    changed: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    processor: str
    position: int
    changed_at: datetime
    stored: StoredEvent
    """With an earlier correction in it."""
    was_corrected: bool


def draft(db: Connection, letter: int) -> Draft:
    """What is to be corrected.

    Raises WrongState when the letter is not there or not open, or when its event is not in the log.
    """
    found = _open(db, letter)
    return Draft(letter, found.stored.version, found.stored.payload, found.changed_at)


def patched(payload: Any, patch: Any) -> Any:
    """A payload after the operations of a JSON patch (RFC 6902).

    Raises InvalidEvent that tells which operation does not apply.
    """
    if not isinstance(patch, list):
        raise InvalidEvent("the patch: must be a list of operations (RFC 6902)")
    for number, operation in enumerate(patch, 1):
        try:
            payload = jsonpatch.JsonPatch([operation]).apply(payload)
        except Exception as error:  # the library's own, and what its operations meet; their texts quote values
            raise InvalidEvent(f"the patch: operation {number} does not apply ({type(error).__name__})") from None
    return payload


def correct(
    db: Connection, letter: int, payload: Any, *, who: str, reason: str | None = None, as_of: datetime | None = None
) -> Corrected:
    """Put a payload in the place of the event's own, for this letter's processor; it is checked as at the door.

    ``as_of`` is the draft's, where there is one. Raises InvalidEvent that names each wrong field, WrongUse without
    a name, and WrongState as ``draft`` does, or when the letter was changed since.
    """
    found = _open(db, letter)
    if as_of is not None and found.changed_at != as_of:
        raise WrongState(f"dead letter {letter} was changed meanwhile: nothing is saved, look at it again")
    event = checked(found.stored, payload)
    changed = _differing(found.stored.payload, event.payload_json)
    save(db, found.processor, event)
    _noted(db, letter, "edited", who, reason, ", ".join(changed) or "nothing differs")
    return Corrected(changed, _unknown(payload, event.payload_wire()))


def neighbours(db: Connection, letter: int, *, corrected: bool = False) -> list[int]:
    """The open letters of the same event in other processors, by id; ``corrected`` asks for those with a correction."""
    return list(db.exec_driver_sql(_NEIGHBOURS, {"id": letter, "corrected": corrected}).scalars())


def undo(db: Connection, letter: int, *, who: str, reason: str | None = None) -> None:
    """Let the event's own payload count again. Raises as ``correct`` does, and WrongState when it counts already."""
    found = _open(db, letter)
    if not found.was_corrected:
        raise WrongState(f"dead letter {letter} has no corrected payload")
    db.exec_driver_sql(_TAKE_BACK, {"processor": found.processor, "position": found.position})
    _noted(db, letter, "edit undone", who, reason, None)


def checked(stored: StoredEvent, payload: Any, *, version: str | None = None) -> Event:
    """The event with another payload, of its own version or another one, brought up to the newest of its type.

    Raises InvalidEvent that names each wrong field.
    """
    if not isinstance(payload, dict):
        raise InvalidEvent("payload: must be an object")
    check_json(payload, path="payload")
    event = Event.stored(
        stored._replace(payload=dumps(payload, whole=True).decode(), version=version or stored.version)
    )
    if len(event.payload_json) > MAX_BYTES:
        raise InvalidEvent(f"payload: must have at most {MAX_BYTES} bytes, has {len(event.payload_json)}")
    return event


def save(db: Connection, processor: str, event: Event) -> None:
    """Keep a checked event's payload as the one that counts for a processor."""
    values = {"processor": processor, "position": event.position, "event_id": event.id, "version": event.version}
    db.exec_driver_sql(_SAVE, {**values, "payload": event.payload_json.decode()})


def _open(db: Connection, letter: int) -> _Open:
    row = db.exec_driver_sql(_LETTER, {"id": letter}).one_or_none()
    if row is None:
        raise WrongState(f"there is no dead letter {letter}")
    processor, position, event_id, state, changed_at, version, payload = row
    if state != "open":
        how = "`fundlyhub dlq restore` opens it" if state == "discarded" else "only an open one can be edited"
        raise WrongState(f"dead letter {letter} is {state}: {how}")
    stored = next((one for one in read(db, [position]) if one.id == event_id), None)
    if stored is None:
        raise WrongState(f"the event of dead letter {letter} {absence(db, position)}")
    if version is not None:
        stored = stored._replace(version=version, payload=payload)
    return _Open(processor, position, changed_at, stored, version is not None)


def _noted(db: Connection, letter: int, action: Action, who: str, reason: str | None, what: str | None) -> None:
    parts = [part for part in (what, None if reason is None else reasoned(reason)) if part]
    db.exec_driver_sql(_TOUCH, {"id": letter})
    AUDIT.note(db, letter, who=who, action=action, details=": ".join(parts) or None)


def _differing(before: str | None, after: bytes) -> tuple[str, ...]:
    """The names of the fields that differ."""
    old: dict[str, Any] = {}
    with suppress(InvalidEvent):
        old = decode(before)
    new = decode(after.decode())
    return _names(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _unknown(payload: dict[str, Any], wire: dict[str, Any]) -> tuple[str, ...]:
    return _names(name for name, value in payload.items() if value is not None and name not in wire)


def _names(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys that look like names of fields: anything else may be a value in the wrong place."""
    return tuple(sorted(key for key in keys if key.isidentifier() and key.isascii() and len(key) <= 64))
