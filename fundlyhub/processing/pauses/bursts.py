"""Counts similar failures across all workers, and pauses a processor when they become a burst.

A burst is counted in a transaction of its own, before the outcomes are written: the events that make it up are held
then, instead of being charged. A worker that dies in between leaves a count too high by its batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from logging import getLogger

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.processing.pauses.rules import WINDOW, Burst, is_burst
from fundlyhub.processing.pauses.store import in_force, pause_after_burst
from fundlyhub.processing.processor import Processor

log = getLogger(__name__)

LOOKED_AT = 2_000
"""Claims among which recent ones are looked for, at the end of the log and below the failures."""

# One row for each fault; windows that are over are cleared away by the next failure.
_COUNT = """
    INSERT INTO events.failure_bursts AS b (processor, fingerprint, began_at, failed, succeeded)
    VALUES (%(processor)s, %(fingerprint)s, clock_timestamp(), %(failed)s, %(succeeded)s)
    ON CONFLICT (processor, fingerprint) DO UPDATE SET
        began_at = CASE WHEN b.began_at > clock_timestamp() - make_interval(secs => %(window)s)
                        THEN b.began_at ELSE excluded.began_at END,
        failed = excluded.failed + CASE WHEN b.began_at > clock_timestamp() - make_interval(secs => %(window)s)
                                        THEN b.failed ELSE 0 END,
        succeeded = excluded.succeeded + CASE WHEN b.began_at > clock_timestamp() - make_interval(secs => %(window)s)
                                              THEN b.succeeded ELSE 0 END
    RETURNING failed, succeeded, extract(epoch FROM clock_timestamp() - began_at)::float8
"""
_CLEAR = """
    DELETE FROM events.failure_bursts b
    USING (SELECT processor, fingerprint FROM events.failure_bursts
           WHERE processor = %(processor)s AND began_at < clock_timestamp() - make_interval(secs => %(window)s)
           FOR UPDATE SKIP LOCKED) over
    WHERE b.processor = over.processor AND b.fingerprint = over.fingerprint
"""
_APPLIED_SINCE = """
    SELECT count(*) FROM (
        (SELECT position, processed_at FROM processed_events WHERE processor = %(processor)s
         ORDER BY position DESC LIMIT %(limit)s)
        UNION
        (SELECT position, processed_at FROM processed_events
         WHERE processor = %(processor)s AND position <= %(last)s ORDER BY position DESC LIMIT %(limit)s)
    ) claims WHERE processed_at > clock_timestamp() - make_interval(secs => %(seconds)s)
"""


@dataclass(frozen=True, slots=True)
class Failing:
    """An event whose failure may be the handler's. ``new``: its last failure, if any, was another one."""

    position: int
    fingerprint: str
    reason: str
    new: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Events that wait for the end of a pause, under the fault that began it; they are charged nothing."""

    fingerprint: str
    positions: AbstractSet[int]


def notice(processor: type[Processor], failing: Sequence[Failing], succeeded: int) -> Hold | None:
    """Count these failures of one run, beside its successes; the events to hold if the processor is paused for them."""
    if not failing or processor.pause_after is None:
        return None
    new = Counter(event.fingerprint for event in failing if event.new)
    with get_engine("events").begin() as db:
        if hold := _held(db, processor, failing):
            return hold
        bursts = {alike: _count(db, processor, alike, new[alike], succeeded) for alike in sorted(new)}
        db.exec_driver_sql(_CLEAR, {"processor": processor.name, "window": WINDOW})
    for alike, (failed, meanwhile, seconds) in bursts.items():
        if failed >= processor.pause_after:
            last = max(event.position for event in failing)
            burst = Burst(failed, meanwhile + _applied_since(processor, last, seconds))
            if is_burst(burst, processor.pause_after):
                return _pause(processor, [event for event in failing if event.fingerprint == alike], burst)
    return None


def _held(db: Connection, processor: type[Processor], failing: Sequence[Failing]) -> Hold | None:
    """What failed in a run that was under way when the processor was paused, or in a probe."""
    pause = in_force(db, processor.name)
    if pause is None or pause.fingerprint is None:
        return None
    return Hold(pause.fingerprint, {event.position for event in failing})


def _count(
    db: Connection, processor: type[Processor], fingerprint: str, failed: int, succeeded: int
) -> tuple[int, int, float]:
    given = {"processor": processor.name, "fingerprint": fingerprint, "window": WINDOW}
    row = db.exec_driver_sql(_COUNT, {**given, "failed": failed, "succeeded": succeeded}).one()
    return row[0], row[1], row[2]


def _applied_since(processor: type[Processor], last: int, seconds: float) -> int:
    """Events that any worker has applied in the last seconds; by their own database's clock."""
    given = {"processor": processor.name, "last": last, "seconds": seconds, "limit": LOOKED_AT}
    with get_engine(processor.database).connect() as db:
        return int(db.exec_driver_sql(_APPLIED_SINCE, given).scalar_one())


def _pause(processor: type[Processor], failing: Sequence[Failing], burst: Burst) -> Hold:
    first = failing[0]
    with get_engine("events").begin() as db:
        ours = pause_after_burst(
            db, processor.name, reason=first.reason, fingerprint=first.fingerprint, failed=burst.failed
        )
    if ours:
        log.error(
            "%s has paused itself: %d events failed alike within %.0f s, and %d succeeded: %s; its events wait, and "
            "some are tried from time to time; see `fundlyhub processors list`",
            processor.name, burst.failed, WINDOW, burst.succeeded, first.reason,
            extra={"processor": processor.name},
        )  # fmt: skip
    return Hold(first.fingerprint, {event.position for event in failing})
