"""The table of attempts: which events of which processor failed so far, and when each is due again.

All its times are the server's: a worker whose clock is wrong neither forgets an event for hours nor gives up early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fundlyhub.settings import get_settings

_CLOCK = "SELECT clock_timestamp()"
_READ = """
    SELECT position, attempts, first_seen, next_at, error_class, crashes, fingerprint FROM events.attempts
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
"""
_RECORD = """
    INSERT INTO events.attempts AS a
        (processor, position, attempts, first_seen, next_at, error_class, crashes, reason, fingerprint)
    SELECT %(processor)s, g.position, g.spent, %(now)s, g.next_at, g.error_class, 0, g.reason, g.fingerprint
    FROM unnest(%(positions)s::bigint[], %(spent)s::int[], %(next_at)s::timestamptz[], %(errors)s::text[],
                %(reasons)s::text[], %(fingerprints)s::text[])
         AS g(position, spent, next_at, error_class, reason, fingerprint)
    ORDER BY g.position
    ON CONFLICT (processor, position) DO UPDATE
        SET attempts = greatest(0, a.attempts + excluded.attempts), next_at = excluded.next_at,
            error_class = coalesce(excluded.error_class, a.error_class),
            crashes = CASE WHEN excluded.position = ANY (%(survived)s::bigint[]) THEN greatest(0, a.crashes - 1)
                           ELSE a.crashes END,
            reason = CASE WHEN excluded.error_class IS NULL THEN a.reason ELSE excluded.reason END,
            fingerprint = CASE WHEN excluded.error_class IS NULL THEN a.fingerprint ELSE excluded.fingerprint END
"""
# Of two messages that were sent for one event, the first to come moves its time, and the other finds it moved. One lock
# order everywhere, so that two writers cannot deadlock.
_TAKE = """
    UPDATE events.attempts a
    SET next_at = statement_timestamp() + make_interval(secs => %(lease)s), error_class = NULL
    FROM (SELECT processor, position FROM events.attempts
          WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
            AND next_at <= greatest(clock_timestamp() + make_interval(secs => %(early)s), %(ended)s::timestamptz)
          ORDER BY position FOR UPDATE) ours
    WHERE a.processor = ours.processor AND a.position = ours.position
    RETURNING a.position, a.next_at
"""
_COUNT = """
    INSERT INTO events.attempts AS a (processor, position, attempts, first_seen, next_at, crashes)
    VALUES (%(processor)s, %(position)s, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => %(lease)s), 1)
    ON CONFLICT (processor, position) DO UPDATE
        SET attempts = a.attempts + 1, crashes = a.crashes + 1, next_at = excluded.next_at, error_class = NULL
"""
_FORGET = """
    DELETE FROM events.attempts a
    USING (SELECT processor, position FROM events.attempts
           WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
           ORDER BY position FOR UPDATE) done
    WHERE a.processor = done.processor AND a.position = done.position
"""

EARLY = 2.0
"""Seconds before its time that a retry may come, since brokers count whole seconds."""

EndsWait = bool | str
"""Which waits a message ends: those that are over (False), all (True), or those up to a time (ISO 8601)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of an event that failed before: failures, since when, and when it is due.

    A run in progress takes the error's class away: ``error_class`` None means that a run has not ended. ``crashes``
    are runs that were counted before they were made and never ended; ``fingerprint`` is that of the last failure.
    """

    attempts: int
    first_seen: datetime
    next_at: datetime
    error_class: str | None
    crashes: int = 0
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """An event to be run again: ``spent`` attempts (0 for a snooze, -1 to give one back), due at ``next_at``.

    ``survived`` says that its run was counted before it was made, and has ended: it is no crash.
    """

    position: int
    spent: int
    next_at: datetime
    error_class: str | None
    reason: str | None = None
    fingerprint: str | None = None
    survived: bool = False


def clock(db: Connection) -> datetime:
    """What time it is, for all that has to do with attempts."""
    return db.exec_driver_sql(_CLOCK).scalar_one()  # type: ignore[no-any-return]


def read(db: Connection, processor: str, positions: Sequence[int]) -> dict[int, Attempt]:
    """The attempts of those of these positions that have any."""
    rows = db.exec_driver_sql(_READ, {"processor": processor, "positions": list(positions)})
    return {position: Attempt(*rest) for position, *rest in rows}


def record(db: Connection, processor: str, postponed: Sequence[Postponed], *, now: datetime) -> None:
    """Note when these events are due again, and what they have spent."""
    if postponed:
        db.exec_driver_sql(
            _RECORD,
            {
                "processor": processor,
                "now": now,
                "positions": [item.position for item in postponed],
                "spent": [item.spent for item in postponed],
                "next_at": [item.next_at for item in postponed],
                "errors": [item.error_class for item in postponed],
                "reasons": [item.reason for item in postponed],
                "fingerprints": [item.fingerprint for item in postponed],
                "survived": [item.position for item in postponed if item.survived],
            },
        )


def lease() -> float:
    """Seconds for which an event that waits belongs to the message that runs it; then the sweep sends another."""
    return max(10.0, get_settings().sweep_grace)


def take(db: Connection, processor: str, positions: Sequence[int], ends_wait: EndsWait) -> dict[int, datetime]:
    """Those of these events whose wait is over, or is ended by ``ends_wait``: they are ours until the time given."""
    ended = ends_wait if isinstance(ends_wait, str) else "infinity" if ends_wait else "-infinity"
    values = {"processor": processor, "positions": list(positions), "lease": lease(), "early": EARLY, "ended": ended}
    return {position: until for position, until in db.exec_driver_sql(_TAKE, values)}  # noqa: C416  # rows


def count(db: Connection, processor: str, position: int) -> None:
    """Count an attempt before it is made, so that a run which kills its worker is counted too."""
    db.exec_driver_sql(_COUNT, {"processor": processor, "position": position, "lease": lease()})


def forget(db: Connection, processor: str, positions: Iterable[int]) -> None:
    """These events are settled."""
    gone = list(positions)
    if gone:
        db.exec_driver_sql(_FORGET, {"processor": processor, "positions": gone})
