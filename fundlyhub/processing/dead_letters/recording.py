"""What workers write: a dead letter for each event that they give up on, and the result of a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events.log import MAX_TEXT
from fundlyhub.observability.redaction import traceback_of
from fundlyhub.processing.dead_letters.faults import describe, error_class, fingerprint
from fundlyhub.processing.dead_letters.model import WORKER, Action, State

# Given up again after a replay: the letter is open again, with its newest error and its first time. One that was
# discarded meanwhile stays so: a person has decided. One that is open has its verdict: a second message that came
# back for the same event adds none. One of another event stems from a log that was restored to an earlier time, and is
# written over.
_RECORD = """
    WITH letter AS (
        INSERT INTO events.dead_letters AS d
            (processor, position, event_id, type, error_class, error_message, traceback, fingerprint, attempts,
             first_failed_at, last_failed_at, aggregate_type, aggregate_id)
        SELECT %(processor)s, %(position)s, %(event_id)s, %(type)s, %(error_class)s, %(error_message)s, %(traceback)s,
               %(fingerprint)s, %(attempts)s, %(first_failed_at)s, %(now)s, e.aggregate_type, e.aggregate_id
        FROM (SELECT) AS one LEFT JOIN events.events e ON e.position = %(position)s
        ON CONFLICT (processor, position) DO UPDATE SET
            event_id = excluded.event_id, type = excluded.type,
            aggregate_type = excluded.aggregate_type, aggregate_id = excluded.aggregate_id,
            error_class = excluded.error_class, error_message = excluded.error_message,
            traceback = excluded.traceback, fingerprint = excluded.fingerprint,
            last_failed_at = excluded.last_failed_at, changed_at = clock_timestamp(),
            attempts = excluded.attempts + CASE WHEN d.event_id = excluded.event_id THEN d.attempts ELSE 0 END,
            first_failed_at = CASE WHEN d.event_id = excluded.event_id THEN d.first_failed_at
                                   ELSE excluded.first_failed_at END,
            state = CASE WHEN d.event_id = excluded.event_id AND d.state = 'discarded' THEN d.state ELSE 'open' END
        WHERE d.event_id <> excluded.event_id OR d.state <> 'open'
        RETURNING id
    )
    INSERT INTO events.dead_letter_audit (letter_id, who, action, details)
    SELECT id, %(worker)s, 'failed', %(details)s FROM letter
"""
# All are locked in order, and at once: the others are written by ``record``, and two lock orders could deadlock
# with an operator's command. What was discarded while its replay was under way is applied all the same.
_RESOLVE = """
    WITH chosen AS (
        SELECT d.id, given.action
        FROM unnest(%(positions)s::bigint[], %(actions)s::text[]) AS given(position, action)
        JOIN events.dead_letters d ON d.processor = %(processor)s AND d.position = given.position
        WHERE d.state <> 'resolved'
        ORDER BY d.position FOR UPDATE OF d
    ), resolved AS (
        UPDATE events.dead_letters d SET state = 'resolved', changed_at = clock_timestamp()
        FROM chosen WHERE d.id = chosen.id AND chosen.action IS NOT NULL
        RETURNING d.id, chosen.action
    )
    INSERT INTO events.dead_letter_audit (letter_id, who, action) SELECT id, %(worker)s, action FROM resolved
"""
_OF = """
    SELECT d.position, d.event_id, d.state, d.last_failed_at, octet_length(c.payload::text)
    FROM events.dead_letters d
    LEFT JOIN events.corrections c
           ON c.processor = d.processor AND c.position = d.position AND c.event_id = d.event_id
    WHERE d.processor = %(processor)s AND d.position = ANY (%(positions)s::bigint[])
"""
_CORRECTIONS = f"""
    SELECT position, event_id, version, CASE WHEN octet_length(payload::text) <= {MAX_TEXT} THEN payload::text END
    FROM events.corrections WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""  # noqa: S608  # our own constant
# The letters are locked first, as operators do: what one of them replays just now keeps its row of attempts.
_FORGET_WAITS = """
    DELETE FROM events.attempts a
    USING (SELECT processor, position FROM events.dead_letters
           WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
             AND state IN ('open', 'discarded')
           ORDER BY position FOR UPDATE) d
    WHERE a.processor = d.processor AND a.position = d.position
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that a processor gave up on."""

    position: int
    event_id: UUID
    type: str
    error: BaseException
    attempts: int
    first_failed_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What a run needs of a letter; ``corrected`` are the bytes of a corrected payload, if there is one."""

    event_id: UUID
    state: State
    last_failed_at: datetime
    corrected: int | None

    @property
    def rests(self) -> bool:
        """Whether its event is not to be run, whatever is sent again."""
        return self.state in ("open", "discarded")


class Correction(NamedTuple):
    """A payload that counts instead of an event's own, as JSON text; None if it is far too large to be read."""

    event_id: UUID
    version: str
    payload: str | None


def record(db: Connection, processor: str, letters: Sequence[DeadLetter], *, now: datetime) -> None:
    """Keep these letters; one that is there already is brought up to date."""
    for letter in sorted(letters, key=lambda item: item.position):
        message, kind = describe(letter.error), error_class(letter.error)
        db.exec_driver_sql(
            _RECORD,
            {
                "processor": processor,
                "position": letter.position,
                "event_id": letter.event_id,
                "type": letter.type,
                "error_class": kind,
                "error_message": message,
                "traceback": traceback_of(letter.error),
                "fingerprint": fingerprint(processor, letter.error, message),
                "attempts": letter.attempts,
                "first_failed_at": letter.first_failed_at,
                "now": now,
                "worker": WORKER,
                "details": message if message.startswith(kind) else f"{kind}: {message}",
            },
        )


def resolve(db: Connection, processor: str, ends: Mapping[int, Action | None]) -> None:
    """Record the results of these replayed letters, by position; None is an event that is not done yet."""
    if ends:
        values = {"processor": processor, "positions": list(ends), "actions": list(ends.values()), "worker": WORKER}
        db.exec_driver_sql(_RESOLVE, values)


def known(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, Known]:
    """The letters, if any, at these positions."""
    rows = db.exec_driver_sql(_OF, {"processor": processor, "positions": array(positions)})
    return {position: Known(*rest) for position, *rest in rows}


def corrections(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, Correction]:
    """The corrected payloads, if any, at these positions."""
    rows = db.exec_driver_sql(_CORRECTIONS, {"processor": processor, "positions": array(positions)})
    return {position: Correction(*rest) for position, *rest in rows}


def forget_waits(db: Connection, processor: str, positions: Sequence[int]) -> None:
    """Delete the attempts of letters that rest: the sweep would send them for ever."""
    if positions:
        db.exec_driver_sql(_FORGET_WAITS, {"processor": processor, "positions": list(positions)})
