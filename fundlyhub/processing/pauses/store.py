"""The table of pauses: begins, probes and ends the pause of a processor, and reads which are paused.

All its times are the server's. Connections are to the Events DB; each function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fundlyhub.database.audited import named, reasoned
from fundlyhub.processing.pauses.rules import Kind, probe_wait

_COLUMNS = """
    processor, kind, who, reason, since, until, fingerprint, failed, probe_at, probes, probing, ended_at,
    ended_at IS NULL AND (until IS NULL OR until > clock_timestamp()) AS in_force,
    coalesce(probe_at <= clock_timestamp(), false) AS probe_due
"""
_TABLE = f"SELECT {_COLUMNS} FROM events.processor_pauses ORDER BY processor, kind"  # noqa: S608  # our own constant
IN_FORCE = """
    SELECT processor, kind, reason FROM events.processor_pauses
    WHERE ended_at IS NULL AND (until IS NULL OR until > clock_timestamp()) ORDER BY processor, kind
"""
"""The pauses in force, for callers with a connection of another kind."""
_PAUSE = """
    WITH paused AS (
        INSERT INTO events.processor_pauses AS p (processor, kind, who, reason, until, fingerprint, failed, probe_at)
        VALUES (%(processor)s, %(kind)s, %(who)s, %(reason)s, %(until)s, %(fingerprint)s, %(failed)s,
                clock_timestamp() + make_interval(secs => %(probe)s))
        ON CONFLICT (processor, kind) DO UPDATE
            SET who = excluded.who, reason = excluded.reason, since = excluded.since, until = excluded.until,
                fingerprint = excluded.fingerprint, failed = excluded.failed, probe_at = excluded.probe_at,
                probes = 0, probing = '{}', ended_at = NULL
            WHERE %(anew)s OR p.ended_at IS NOT NULL
        RETURNING processor, kind, who, reason
    )
    INSERT INTO events.processor_pause_audit (processor, kind, who, action, details)
    SELECT processor, kind, who, 'paused', reason FROM paused RETURNING id
"""
_ABSENT = dict.fromkeys(("until", "fingerprint", "failed", "probe"))
# What failed before the pause, or was held when it began, is due at once, and its next failure is a new one. A wait
# that was none of its own does not count towards the greatest age of a snooze.
_END = """
    WITH ended AS (
        UPDATE events.processor_pauses SET ended_at = clock_timestamp()
        WHERE processor = %(processor)s AND kind = ANY (%(kinds)s::text[]) AND ended_at IS NULL
        RETURNING kind, fingerprint
    ), noted AS (
        INSERT INTO events.processor_pause_audit (processor, kind, who, action, details)
        SELECT %(processor)s, kind, %(who)s, 'resumed', %(details)s FROM ended ORDER BY kind
    ), forgotten AS (
        DELETE FROM events.failure_bursts WHERE processor = %(processor)s AND EXISTS (SELECT FROM ended)
    ), held AS (
        SELECT processor, position FROM events.attempts
        WHERE processor = %(processor)s AND error_class IS NOT NULL
          AND fingerprint IN (SELECT fingerprint FROM ended)
        ORDER BY position FOR UPDATE
    ), due AS (
        UPDATE events.attempts a
        SET next_at = statement_timestamp() - interval '10 seconds', fingerprint = NULL,
            first_seen = CASE WHEN a.attempts > 0 THEN a.first_seen ELSE statement_timestamp() END
        FROM held WHERE a.processor = held.processor AND a.position = held.position
    )
    SELECT kind FROM ended
"""
_PROBE = """
    UPDATE events.processor_pauses
    SET probing = %(positions)s::bigint[], probes = probes + 1,
        probe_at = clock_timestamp() + make_interval(secs => %(wait)s)
    WHERE processor = %(processor)s AND kind = 'burst' AND ended_at IS NULL AND probe_at <= clock_timestamp()
"""
_REMOVE = """
    DELETE FROM events.processor_pauses
    WHERE processor = %(processor)s AND kind = %(kind)s AND ended_at = %(ended_at)s
"""


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause of one processor. ``probing`` are the positions that a burst's pause lets through."""

    processor: str
    kind: Kind
    who: str
    reason: str
    since: datetime
    until: datetime | None
    fingerprint: str | None
    failed: int | None
    probe_at: datetime | None
    probes: int
    probing: Sequence[int]
    ended_at: datetime | None
    in_force: bool
    probe_due: bool


def whole_table(db: Connection) -> list[Pause]:
    """All pauses, those that are over and not cleared away yet too."""
    return [Pause(*row) for row in db.exec_driver_sql(_TABLE)]


def paused(db: Connection) -> dict[str, Pause]:
    """The pause in force of each processor that has one; a person's replaces a burst's."""
    return {row.processor: row for row in whole_table(db) if row.in_force}  # by hand comes last


def in_force(db: Connection, processor: str) -> Pause | None:
    """The pause in force of one processor."""
    return paused(db).get(processor)


def pause_by_hand(db: Connection, processor: str, *, who: str, reason: str, until: datetime | None = None) -> None:
    """Pause a processor until a person resumes it, or ``until`` a time. Raises WrongUse without a name or a reason."""
    given = {"kind": "by hand", "who": named(who), "reason": reasoned(reason), "until": until, "anew": True}
    db.exec_driver_sql(_PAUSE, {**_ABSENT, **given, "processor": processor})


def pause_after_burst(db: Connection, processor: str, *, reason: str, fingerprint: str, failed: int) -> bool:
    """Pause a processor whose events fail; False when another worker was faster."""
    given = {
        "kind": "burst", "who": "worker", "reason": reason, "fingerprint": fingerprint, "failed": failed,
        "probe": probe_wait(0), "anew": False,
    }  # fmt: skip
    return db.exec_driver_sql(_PAUSE, {**_ABSENT, **given, "processor": processor}).first() is not None


def end(
    db: Connection, processor: str, *, who: str, details: str, kinds: Iterable[Kind] = ("burst", "by hand")
) -> bool:
    """End the pauses of a processor; False when it was under none. The relay sends what was held back."""
    given = {"processor": processor, "who": who, "details": details, "kinds": list(kinds)}
    return db.exec_driver_sql(_END, given).first() is not None


def end_by_hand(db: Connection, processor: str, *, who: str, reason: str) -> bool:
    """The same, by a person. Raises WrongUse without a name or a reason."""
    return end(db, processor, who=named(who), details=reasoned(reason))


def start_probe(db: Connection, pause: Pause, positions: Sequence[int]) -> bool:
    """Let these positions through, once; False when the pause is over, or another relay has just done so."""
    given = {"processor": pause.processor, "positions": list(positions), "wait": probe_wait(pause.probes + 1)}
    return db.exec_driver_sql(_PROBE, given).rowcount == 1


def remove(db: Connection, pause: Pause) -> None:
    """Clear away a pause that is over, unless it has begun anew."""
    given = {"processor": pause.processor, "kind": pause.kind, "ended_at": pause.ended_at}
    db.exec_driver_sql(_REMOVE, given)
