"""Shows one dead letter with its traceback, its event and its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.audited import AuditEntry
from fundlyhub.errors import WrongState
from fundlyhub.events.archived import absence
from fundlyhub.events.log import representable
from fundlyhub.events.reading import pretty
from fundlyhub.processing.dead_letters.finding import COLUMNS
from fundlyhub.processing.dead_letters.model import AUDIT, Letter

_LETTER = f"SELECT d.traceback, {COLUMNS} FROM events.dead_letters d WHERE d.id = %(id)s"  # noqa: S608  # ours
_ENVELOPE = f"""
    SELECT position, id, type, version, {representable("occurred_at")}, {representable("recorded_at")},
           correlation_id, causation_id
    FROM events.events WHERE position = %(position)s AND id = %(event_id)s
"""  # noqa: S608  # our own constants
_PEOPLES_DATA = f"""
    SELECT {pretty("e.payload")}, {pretty("e.metadata")},
           CASE WHEN c.payload IS NOT NULL THEN {pretty("c.payload")} END
    FROM events.events e
    LEFT JOIN events.corrections c
           ON c.processor = %(processor)s AND c.position = e.position AND c.event_id = e.id
    WHERE e.position = %(position)s AND e.id = %(event_id)s
"""  # noqa: S608  # the same


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event without payload and metadata, which may be personal data."""

    position: int
    id: UUID
    type: str
    version: str
    timestamp: datetime
    recorded_at: datetime
    correlation_id: UUID | None
    causation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Content:
    """The payload and metadata of an event as JSON text, and the corrected payload, if there is one."""

    payload: str
    metadata: str
    corrected_payload: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A dead letter, with what helps to decide about it.

    ``event`` is None when it is not in the log any more; then ``absence`` says why.
    """

    letter: Letter
    traceback: str
    timeline: tuple[AuditEntry, ...]
    event: Envelope | None
    content: Content | None
    absence: str | None = None


def show(db: Connection, letter: int, *, payload: bool = False) -> Shown:
    """All about one letter; the contents of its event only if ``payload`` asks for them.

    Raises WrongState when there is no such letter.
    """
    row = db.exec_driver_sql(_LETTER, {"id": letter}).one_or_none()
    if row is None:
        raise WrongState(f"there is no dead letter {letter}")
    traceback, *columns = row
    found = Letter(*columns)
    where = {"processor": found.processor, "position": found.position, "event_id": found.event_id}
    envelope = db.exec_driver_sql(_ENVELOPE, where).one_or_none()
    content = db.exec_driver_sql(_PEOPLES_DATA, where).one_or_none() if payload else None
    return Shown(
        letter=found,
        traceback=traceback,
        timeline=tuple(AUDIT.timeline(db, letter)),
        event=None if envelope is None else Envelope(*envelope),
        content=None if content is None else Content(*content),
        absence=None if envelope is not None else absence(db, found.position),
    )
