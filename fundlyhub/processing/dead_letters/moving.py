"""Exports dead letters as lines of JSON, and imports them without undoing later changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, BinaryIO
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.database.audited import named
from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, StoredEvent, read
from fundlyhub.events.archived import absence, among, away
from fundlyhub.events.lines import MAX_LINE, Line, in_chunks, numbered_lines
from fundlyhub.events.rules import check_json, parse_json, reasons
from fundlyhub.processing.dead_letters.correcting import checked, save
from fundlyhub.processing.dead_letters.finding import COLUMNS, Filter
from fundlyhub.processing.dead_letters.model import Letter, State
from fundlyhub.processing.dead_letters.recording import corrections

PAGE = 500
"""Letters that are read at a time."""
MAX_AHEAD = timedelta(minutes=5)
"""How far the clock of the exporting machine may be ahead of ours."""

_EXPORT = f"""
    SELECT d.traceback, {COLUMNS} FROM events.dead_letters d WHERE CONDITIONS AND d.id > %(after)s
    ORDER BY d.id LIMIT %(page)s
"""  # noqa: S608  # our own constants
# What is there already and was changed later, or is the same, stays as it is. A letter of another event stems from a
# log that was restored.
_IMPORT = """
    WITH letter AS (
        INSERT INTO events.dead_letters AS d
            (processor, position, event_id, type, error_class, error_message, traceback, fingerprint, attempts,
             first_failed_at, last_failed_at, changed_at, state, aggregate_type, aggregate_id)
        SELECT %(processor)s, e.position, e.id, e.type, %(error)s, %(message)s, %(traceback)s, %(fingerprint)s,
               %(attempts)s, %(first_failed_at)s, %(last_failed_at)s, %(changed_at)s, %(state)s,
               e.aggregate_type, e.aggregate_id
        FROM events.events e WHERE e.position = %(position)s AND e.id = %(event_id)s
        ON CONFLICT (processor, position) DO UPDATE SET
            event_id = excluded.event_id, type = excluded.type, error_class = excluded.error_class,
            error_message = excluded.error_message, traceback = excluded.traceback,
            fingerprint = excluded.fingerprint, attempts = excluded.attempts,
            first_failed_at = excluded.first_failed_at, last_failed_at = excluded.last_failed_at,
            changed_at = excluded.changed_at, state = excluded.state,
            aggregate_type = excluded.aggregate_type, aggregate_id = excluded.aggregate_id
        WHERE d.event_id <> excluded.event_id OR d.changed_at < excluded.changed_at
        RETURNING id
    )
    INSERT INTO events.dead_letter_audit (letter_id, who, action, details)
    SELECT id, %(who)s, 'imported', %(details)s FROM letter
    RETURNING letter_id
"""

_Word = Annotated[str, Field(min_length=1, max_length=200)]
_Text = Annotated[str, Field(max_length=100_000)]


class _Correction(BaseModel):
    version: _Word
    payload: dict[str, Any]


class _Imported(BaseModel):
    """A line of an export; its other fields are for readers."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")

    processor: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=200)]
    position: Annotated[int, Field(ge=1, lt=2**63)]
    event_id: UUID
    error: _Word
    message: _Text
    traceback: _Text
    fingerprint: _Word
    attempts: Annotated[int, Field(ge=0, lt=2**31)]
    first_failed_at: AwareDatetime
    last_failed_at: AwareDatetime
    changed_at: AwareDatetime
    state: State
    corrected_payload: _Correction | None = None


@dataclass
class ImportReport:
    """What became of the lines so far; ``refused`` holds the number of the line and the reason."""

    lines: int = 0
    imported: int = 0
    unchanged: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def export_lines(db: Connection, wanted: Filter, *, payload: bool = False) -> Iterator[bytes]:
    """The letters that a filter selects, a line each; the contents of their events only with ``payload``."""
    after = 0
    while rows := db.exec_driver_sql(wanted.query(_EXPORT), wanted.values(after=after, page=PAGE)).all():
        for traceback, *row in rows:
            letter = Letter(*row)
            line = {**asdict(letter), "traceback": traceback, **(_content(db, letter) if payload else {})}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
            after = letter.id


def import_lines(file: BinaryIO, *, who: str) -> Iterator[ImportReport]:
    """Take in the letters of an export, and report after each chunk. Doing it twice is harmless.

    A letter that was changed later than the line stays as it is, and a line with a resolved letter changes nothing. A
    letter that was being replayed is open here. Raises WrongUse without a name.
    """
    who = named(who)
    report = ImportReport()
    for chunk in in_chunks(numbered_lines(file)):
        with get_engine("events").begin() as db:
            for line in chunk:
                _take(db, line, who, report)
        report.lines = chunk[-1].number
        yield report


def _take(db: Connection, line: Line, who: str, report: ImportReport) -> None:
    if not line.text.strip():
        return
    try:
        letter = _parsed(line)
        stored = _stored(db, letter)
        event = _corrected(stored, letter.corrected_payload)
    except InvalidEvent as error:
        report.refused.append((line.number, str(error)))
        return
    if letter.state == "resolved" or not _write(db, letter, who):
        report.unchanged += 1
        return
    report.imported += 1
    if event is not None:
        save(db, letter.processor, event)


def _parsed(line: Line) -> _Imported:
    if line.is_too_long:
        raise InvalidEvent(f"the line must have at most {MAX_LINE} bytes")
    document = parse_json(line.text)
    check_json(document, path="line")
    try:
        letter = _Imported.model_validate(document)
    except ValidationError as error:
        raise InvalidEvent(*reasons(error)) from None
    if max(letter.first_failed_at, letter.last_failed_at, letter.changed_at) > datetime.now(UTC) + MAX_AHEAD:
        raise InvalidEvent("the times of a letter must not be in the future")
    return letter


def _stored(db: Connection, letter: _Imported) -> StoredEvent:
    stored = next((row for row in read(db, [letter.position]) if row.id == letter.event_id), None)
    if stored is None or among([letter.position], away(db)):
        why = absence(db, letter.position)
        raise InvalidEvent(f"event_id: event {letter.event_id} at position {letter.position} {why}")
    return stored


def _corrected(stored: StoredEvent, correction: _Correction | None) -> Event | None:
    if correction is None:
        return None
    return checked(stored, correction.payload, version=correction.version)


def _write(db: Connection, letter: _Imported, who: str) -> bool:
    values: dict[str, Any] = letter.model_dump(exclude={"corrected_payload"})
    details = None if letter.state != "replayed" else "it was under way where it comes from"
    values["state"] = "open" if letter.state == "replayed" else letter.state
    return db.exec_driver_sql(_IMPORT, {**values, "who": who, "details": details}).first() is not None


def _content(db: Connection, letter: Letter) -> dict[str, Any]:
    """Payloads go out as they stand in the database: each number to its last digit. One far too large is null."""
    stored = next((row for row in read(db, [letter.position]) if row.id == letter.event_id), None)
    if stored is None:
        return {}
    found: dict[str, Any] = {"payload": stored.payload and orjson.Fragment(stored.payload)}
    corrected = corrections(db, letter.processor, [letter.position]).get(letter.position) if letter.corrected else None
    if corrected is not None:
        text = corrected.payload and orjson.Fragment(corrected.payload)
        found["corrected_payload"] = {"version": corrected.version, "payload": text}
    return found
