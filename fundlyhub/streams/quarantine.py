"""Lists entries in quarantine, releases them after a fix, and discards them, for operators.

All functions take a connection to the Events DB and work in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.audited import UNKNOWN, AuditEntry, Changes, named, reasoned
from fundlyhub.errors import InvalidEvent, WrongState
from fundlyhub.events.publish import Published, insert
from fundlyhub.events.refusal import is_to_blame, reason_of
from fundlyhub.streams.entry import Entry, Fields
from fundlyhub.streams.layouts import to_event
from fundlyhub.streams.quarantine_model import AUDIT, Held, State
from fundlyhub.streams.raw import from_json

_COLUMNS = "q.id, q.stream, q.entry_id, q.type, q.reason, q.state, q.event_id, q.received_at, q.changed_at"
# Only what is given is in a query: the planner sees it alone.
_CONDITIONS = {
    "state": "q.state = %(state)s",
    "stream": "q.stream = %(stream)s",
    "before": "(q.received_at, q.id) < (SELECT received_at, id FROM events.quarantine WHERE id = %(before)s)",
}
_FIND = f"""
    SELECT {_COLUMNS} FROM events.quarantine q WHERE CONDITIONS
    ORDER BY q.received_at DESC, q.id DESC LIMIT %(limit)s
"""  # noqa: S608  # our own constants
_COUNT = "SELECT count(*) FROM (SELECT FROM events.quarantine q WHERE CONDITIONS LIMIT %(most)s) AS found"
_IDS = "SELECT q.id FROM events.quarantine q WHERE CONDITIONS ORDER BY q.id"
_SHOW = f"SELECT q.fields, {_COLUMNS} FROM events.quarantine q WHERE q.id = %(id)s"  # noqa: S608  # the same
_LOCK = "SELECT stream, entry_id, fields FROM events.quarantine WHERE id = %(id)s AND state = 'open' FOR UPDATE"
_STATE = "SELECT state FROM events.quarantine WHERE id = %(id)s"
_MARK = """
    UPDATE events.quarantine
    SET state = %(state)s, event_id = coalesce(%(event)s, event_id), reason = coalesce(%(reason)s, reason),
        changed_at = clock_timestamp()
    WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry with all about it. ``fields`` may hold personal data: None unless asked for."""

    held: Held
    names: tuple[str, ...]
    fields: Fields | None
    timeline: tuple[AuditEntry, ...]

    @property
    def texts(self) -> list[tuple[str, str]] | None:
        """The pairs of ``fields`` as texts; a byte that is none is an escape."""
        if self.fields is None:
            return None
        how = ("utf-8", "backslashreplace")
        return [(name.decode(*how), value.decode(*how)) for name, value in self.fields]


def find(
    db: Connection, *, state: State | None = "open", stream: str | None = None, before: int | None = None,
    limit: int = 50,
) -> list[Held]:  # fmt: skip
    """Entries, the newest first; with ``before`` those that come after this entry in the list."""
    given = {"state": state, "stream": stream, "before": before, "limit": limit}
    return [Held(*row) for row in db.exec_driver_sql(_asking(_FIND, given), given)]


def count(
    db: Connection, *, state: State | None = "open", stream: str | None = None, most: int | None = None
) -> int:  # fmt: skip
    """How many there are; with ``most`` no more are counted than that."""
    given = {"state": state, "stream": stream, "most": most}
    return int(db.exec_driver_sql(_asking(_COUNT, given), given).scalar_one())


def ids(db: Connection, *, state: State | None = "open", stream: str | None = None) -> list[int]:
    """The ids of all of them, the oldest first."""
    given = {"state": state, "stream": stream}
    return list(db.exec_driver_sql(_asking(_IDS, given), given).scalars())


def show(db: Connection, id: int, *, fields: bool = False) -> Shown:
    """All about one entry; the values of its fields only if ``fields`` asks for them.

    Raises WrongState when there is no such entry.
    """
    row = db.exec_driver_sql(_SHOW, {"id": id}).one_or_none()
    if row is None:
        raise WrongState(f"there is no entry {id} in quarantine")
    stored, *columns = row
    kept = from_json(stored)
    return Shown(
        held=Held(*columns),
        names=tuple(name.decode("utf-8", "replace") for name, _ in kept),
        fields=kept if fields else None,
        timeline=tuple(AUDIT.timeline(db, id)),
    )


def release(
    db: Connection, ids: Sequence[int], *, who: str, corrections: Mapping[str, str] | None = None,
    reason: str | None = None,
) -> Changes:  # fmt: skip
    """Publish open entries, after a fix of the code or with ``corrections`` of their fields; each that can be.

    What cannot be an event yet stays open, with its new reason. The fields that were kept stay as they are; a
    correction with an empty text takes a field out. Raises WrongUse without a name, and for an empty ``reason``.
    """
    who, why = named(who), f": {reasoned(reason)}" if reason is not None else ""
    changed: list[int] = []
    unchanged: dict[int, str] = {}
    for id, stream, entry_id, stored in _locked(db, ids, unchanged):
        entry = Entry(stream, entry_id, corrected(from_json(stored), corrections or {}))
        try:
            published = _published(db, entry)
        except (InvalidEvent, DBAPIError) as error:
            unchanged[id] = _refused(db, id, who, error, why)
            continue
        _mark(db, id, "released", event=published.event.id)
        AUDIT.note(db, id, who=who, action="released", details=(_how(published, corrections) + why)[:1_000])
        changed.append(id)
    return Changes(tuple(changed), unchanged)


def discard(db: Connection, ids: Sequence[int], *, who: str, reason: str) -> Changes:
    """Let open entries rest for good. Raises WrongUse without a name or a reason."""
    who, reason = named(who), reasoned(reason)
    changed: list[int] = []
    unchanged: dict[int, str] = {}
    for id, *_ in _locked(db, ids, unchanged):
        _mark(db, id, "discarded")
        AUDIT.note(db, id, who=who, action="discarded", details=reason)
        changed.append(id)
    return Changes(tuple(changed), unchanged)


def corrected(fields: Fields, corrections: Mapping[str, str]) -> Fields:
    """The fields with these values; one that is empty takes the field out. Pure."""
    new = {_bytes(name): _bytes(value) for name, value in corrections.items()}
    kept = [(name, value) for name, value in fields if name not in new]
    return (*kept, *((name, value) for name, value in new.items() if value))


def _asking(query: str, given: Mapping[str, object]) -> str:
    """A query with the conditions that are given."""
    asked = [condition for name, condition in _CONDITIONS.items() if given.get(name) is not None]
    return query.replace("CONDITIONS", " AND ".join(asked) or "true")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # as a command line gives it


def _published(db: Connection, entry: Entry) -> Published:
    with db.begin_nested():
        (published,) = insert([to_event(entry)], session=db)
    return published


def _refused(db: Connection, id: int, who: str, error: InvalidEvent | DBAPIError, why: str) -> str:
    """Note why an entry cannot be released. What is no fault of the entry is raised again."""
    if isinstance(error, DBAPIError) and not is_to_blame(error):
        raise error
    reason = reason_of(error)
    _mark(db, id, "open", reason=reason)
    AUDIT.note(db, id, who=who, action="refused", details=(reason + why)[:1_000])
    return reason


def _how(published: Published, corrections: Mapping[str, str] | None) -> str:
    """For the audit: names of fields, never their values."""
    parts = [f"event {published.event.id}" if published.is_new else f"event {published.event.id}, there already"]
    if corrections:
        parts.append(f"with other {', '.join(sorted(corrections))}")
    return " ".join(parts)[:1_000]


def _locked(db: Connection, ids: Sequence[int], unchanged: dict[int, str]) -> Iterator[tuple[int, str, str, Any]]:
    """Lock each of these entries that is open; the states of the others go into ``unchanged``."""
    for id in sorted(set(ids)):
        if (row := db.exec_driver_sql(_LOCK, {"id": id}).one_or_none()) is not None:
            yield id, row[0], row[1], row[2]
        else:
            unchanged[id] = str(db.exec_driver_sql(_STATE, {"id": id}).scalar_one_or_none() or UNKNOWN)


def _mark(db: Connection, id: int, state: State, *, event: Any = None, reason: str | None = None) -> None:
    db.exec_driver_sql(_MARK, {"id": id, "state": state, "event": event, "reason": reason})
