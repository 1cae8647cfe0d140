"""Replays dead letters: commits each portion, sends it to the broker, and then waits for the results.

The row of attempts is the safety net: what is committed and never reaches the broker is sent by the sweep when that
row is due. The run itself is the executor's, with its claims: an event that was applied meanwhile is not applied again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.database.audited import named, reasoned
from fundlyhub.events.archived import absence, among, away
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.broker_connections import is_passing
from fundlyhub.processing.claims import dropped_ranges
from fundlyhub.processing.dead_letters.canary import End, Terms, portions, waves, why_stop
from fundlyhub.processing.dead_letters.deciding import unchanged
from fundlyhub.processing.dead_letters.finding import Filter
from fundlyhub.processing.registry import processors
from fundlyhub.processing.routing import batches
from fundlyhub.settings import Branch, get_settings

if TYPE_CHECKING:  # commands that only look at letters do not load Celery
    from fundlyhub.processing.publisher import Publisher

STOPPED = "somebody stopped it"
"""Why a replay ended that was told to."""
POLL = 0.2
"""Seconds between two looks at the results."""

_CHOOSE = """
    SELECT id, processor, position FROM events.dead_letters
    WHERE id = ANY (%(ids)s::bigint[]) AND state = 'open' AND processor = ANY (%(processors)s)
    ORDER BY position, processor
"""
_MEANT = """
    SELECT d.id, d.processor, d.position FROM events.dead_letters d
    WHERE CONDITIONS ORDER BY d.position, d.processor LIMIT %(limit)s
"""
# Letters are locked in the order in which all lock them; see ``deciding``.
_REPLAY = """
    WITH chosen AS (
        SELECT id FROM events.dead_letters
        WHERE id = ANY (%(ids)s::bigint[]) AND state = 'open' AND processor = ANY (%(processors)s)
          AND NOT EXISTS (SELECT FROM events.archives a
                          WHERE a.restored_at IS NULL AND dead_letters.position BETWEEN a.low AND a.high)
        ORDER BY processor, position FOR UPDATE
    ), replayed AS (
        UPDATE events.dead_letters d SET state = 'replayed', changed_at = clock_timestamp()
        FROM chosen WHERE d.id = chosen.id
        RETURNING d.id, d.processor, d.position
    ), due AS (
        INSERT INTO events.attempts AS a (processor, position, attempts, first_seen, next_at)
        SELECT processor, position, 0, clock_timestamp(), clock_timestamp() + make_interval(secs => %(net)s)
        FROM replayed ORDER BY processor, position
        ON CONFLICT (processor, position) DO UPDATE
            SET attempts = 0, first_seen = excluded.first_seen, next_at = excluded.next_at, error_class = NULL,
                crashes = 0, reason = NULL, fingerprint = NULL
    ), noted AS (
        INSERT INTO events.dead_letter_audit (letter_id, who, action, details)
        SELECT id, %(who)s, 'replayed', %(details)s FROM replayed ORDER BY id
    )
    SELECT id, processor, position FROM replayed ORDER BY position
"""
_ENDS = """
    SELECT d.id, CASE d.state
        WHEN 'replayed' THEN 'pending' WHEN 'open' THEN 'failed' WHEN 'discarded' THEN 'discarded'
        ELSE (SELECT a.action FROM events.dead_letter_audit a
              WHERE a.letter_id = d.id AND a.action IN ('applied', 'skipped') ORDER BY a.id DESC LIMIT 1) END
    FROM events.dead_letters d WHERE d.id = ANY (%(ids)s::bigint[])
"""


@dataclass(slots=True)
class Replayed:
    """The result of a replay: ids of letters by their end, letters that were not sent, and why it stopped."""

    ends: dict[int, End] = field(default_factory=dict)
    unchanged: dict[int, str] = field(default_factory=dict)
    """Letters that were not open, with the state that they are in."""
    left: tuple[int, ...] = ()
    """Letters that were not sent."""
    stopped: str | None = None

    def ended(self, *ends: End) -> list[int]:
        """The letters that came to one of these ends."""
        return sorted(id for id, end in self.ends.items() if end in ends)


def choose(db: Connection, ids: Sequence[int]) -> tuple[list[int], dict[int, str]]:
    """A dry run: which of these letters can be replayed, in the order of their events, and why the others cannot."""
    rows = db.exec_driver_sql(_CHOOSE, {"ids": list(ids), "processors": list(processors())}).all()
    return _judged(db, ids, rows)


def choose_open(db: Connection, wanted: Filter, *, limit: int) -> tuple[list[int], list[int], dict[int, str]]:
    """The same of the open letters that a filter means, ``limit`` at most: their ids, and both parts of them."""
    rows = db.exec_driver_sql(wanted.query(_MEANT), wanted.values(limit=limit)).all()
    ids, ours = [id for id, _, _ in rows], processors()
    return ids, *_judged(db, ids, [row for row in rows if row[1] in ours])


def _judged(db: Connection, ids: Sequence[int], rows: Sequence[Any]) -> tuple[list[int], dict[int, str]]:
    """What can be replayed of these letters, of which ``rows`` are open and of processors of ours."""
    letters = [tuple(row) for row in rows]
    old = _too_old(letters)
    held = away(db)
    gone = among((position for _, _, position in letters), held) if held else set()
    archived = (
        {id: f"its event {absence(db, position)}" for id, _, position in letters if position in gone} if gone else {}
    )
    able = [id for id, _, _ in letters if id not in old and id not in archived]
    return able, _unable(db, ids, able) | archived | dict.fromkeys(old, "older than the claims that are kept")


def _too_old(letters: Sequence[tuple[int, str, int]]) -> set[int]:
    """Letters whose events may have been applied: their claims have been dropped."""
    known, positions = processors(), dict[Branch, list[int]]()
    for _, processor, position in letters:
        positions.setdefault(known[processor].database, []).append(position)
    gone = set()
    for branch, some in positions.items():
        with get_engine(branch).connect() as db:
            ranges = dropped_ranges(db)
        gone |= {(branch, at) for at in some if any(low <= at <= high for low, high in ranges)}
    if not gone:
        return set()
    return {id for id, processor, position in letters if (known[processor].database, position) in gone}


def replay(
    ids: Sequence[int],
    publisher: Publisher,
    *,
    who: str,
    reason: str | None = None,
    terms: Terms | None = None,
    progress: Callable[[Replayed], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Replayed:
    """Send letters again, those that are open; ``progress`` is told whenever something is known anew.

    When ``stop`` is set, no more are sent; those that are under way stay so.

    A broker that takes no message is no error: it stops there, and the sweep sends what was committed. Raises
    WrongUse without a name.
    """
    terms, stop = terms or Terms(), stop or threading.Event()
    who, reason = named(who), None if reason is None else reasoned(reason)
    report = Replayed()
    with get_engine("events").begin() as db:
        able, report.unchanged = choose(db, ids)
    for wave in waves(able, terms):
        taken = _send_wave(wave, publisher, report, terms, who, reason, stop)
        report.left = tuple(id for id in able if id not in report.ends and id not in report.unchanged)
        progress(report)
        if terms.wait and report.stopped is None:
            _await(taken, report, terms, progress, stop)
            if report.left and not stop.is_set():  # else there is nothing to stop: the ends tell it all
                report.stopped = why_stop([report.ends[id] for id in taken], terms)
        if stop.is_set() and report.left and report.stopped is None:
            report.stopped = STOPPED
        if report.stopped is not None:
            break
    return report


def _send_wave(
    wave: Sequence[int], publisher: Publisher, report: Replayed, terms: Terms, who: str, reason: str | None,
    stop: threading.Event,
) -> list[int]:  # fmt: skip
    """The letters of a wave that were still open, now under way."""
    taken: list[int] = []
    for portion in portions(wave, terms.rate):
        if stop.is_set():
            break
        began = time.monotonic()
        with get_engine("events").begin() as db:
            rows = _commit(db, portion, who, reason)
            if rest := set(portion) - {id for id, _, _ in rows}:  # changed or archived meanwhile
                report.unchanged |= choose(db, sorted(rest))[1]
        report.ends |= dict.fromkeys((id for id, _, _ in rows), "pending")
        taken += [id for id, _, _ in rows]
        report.stopped = _publish(rows, publisher)
        if report.stopped is not None:
            break
        if terms.rate is not None:
            stop.wait(max(0.0, len(portion) / terms.rate - (time.monotonic() - began)))
    return taken


def _commit(db: Connection, ids: Sequence[int], who: str, reason: str | None) -> Sequence[tuple[int, str, int]]:
    values = {"ids": list(ids), "processors": list(processors()), "who": who, "details": reason}
    rows = db.exec_driver_sql(_REPLAY, {**values, "net": get_settings().sweep_grace})
    return [(id, processor, position) for id, processor, position in rows]


def _publish(rows: Sequence[tuple[int, str, int]], publisher: Publisher) -> str | None:
    """Send what is committed; if the broker does not take it, why."""
    positions: dict[str, list[int]] = {}
    for _, processor, position in rows:
        positions.setdefault(processor, []).append(position)
    try:
        for name, some in positions.items():
            publisher.send(batches(processors()[name], some), ends_wait=True)
    except Exception as error:
        if not is_passing(error):
            raise
        return f"the broker takes no message ({describe(error)}); the sweep sends what is under way"
    return None


def _await(
    taken: Sequence[int], report: Replayed, terms: Terms, progress: Callable[[Replayed], None], stop: threading.Event
) -> None:
    """Look at the results until all are there, or the time is over."""
    end = time.monotonic() + terms.timeout
    while taken:
        with get_engine("events").begin() as db:
            report.ends |= _ends(db, taken)
        progress(report)
        if stop.is_set() or time.monotonic() >= end or all(report.ends[id] != "pending" for id in taken):
            return
        stop.wait(POLL)


def _ends(db: Connection, ids: Sequence[int]) -> Mapping[int, End]:
    return {id: end for id, end in db.exec_driver_sql(_ENDS, {"ids": list(ids)})}  # noqa: C416  # rows


def _unable(db: Connection, ids: Sequence[int], able: Sequence[int]) -> dict[int, str]:
    """Why these are not replayed: their state, or that this code does not have their processor."""
    rest = unchanged(db, ids, able)
    return {
        id: "of a processor that is not part of this code" if state == "open" else state for id, state in rest.items()
    }
