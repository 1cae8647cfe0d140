"""Fills a rebuild: replays claims range by range, then keeps up with the claims that come.

Each page is one transaction, which takes a range that no other one has, replays its next claims, and moves it on. So a
worker that is killed leaves nothing half done, and the next one goes on; no message has to arrive.
"""

from __future__ import annotations

import time
from logging import getLogger
from typing import Any

import psycopg
from sqlalchemy import Connection

from fundlyhub.database import is_concurrency_fault, sqlstate
from fundlyhub.database.rebuilt import LOCK_CLASS
from fundlyhub.database.rows import the_value
from fundlyhub.processing.processor import Processor
from fundlyhub.rebuilds.model import Rebuild, newest
from fundlyhub.rebuilds.schema import OpenSchema, connected
from fundlyhub.rebuilds.traffic import SMALL, traffic_of
from fundlyhub.settings import Settings
from fundlyhub.verification.findings import Findings
from fundlyhub.verification.tables.replay import LAST, Claim, Replay

log = getLogger(__name__)

SLICE = 5.0
"""Seconds that one task goes on: workers are shared by all rebuilds, and stop soon."""
LOOKBACK = 20_000
"""Positions before the last one that is known, at which claims are looked for each time."""
SWEEP = 60.0
"""Seconds between two looks at all claims: one that comes late for an old event is found then, or by the exchange."""
COLLISIONS = 20
"""How often a page begins again, when it collided with another one."""
MOST_PACED = 2.0
"""Seconds that a worker sleeps at once for the rate."""
REST = 2.0
"""Seconds of rest for each second of work, while live events come."""
LOCKED = "55P03"

_TAKE = """
    SELECT low, high, after FROM {live}.rebuild_ranges WHERE rebuild_id = %s AND NOT done
    ORDER BY low LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_MOVE = """
    UPDATE {live}.rebuild_ranges SET after = %s, claims = claims + %s, done = %s WHERE rebuild_id = %s AND low = %s
"""
_IS_OPEN = "SELECT EXISTS (SELECT FROM {live}.rebuild_ranges WHERE rebuild_id = %s AND NOT done)"
_FILLED = "UPDATE {live}.rebuilds SET filled_at = clock_timestamp() WHERE id = %s AND filled_at IS NULL"
_FOLLOWED = """
    SELECT followed, swept_at IS NULL OR swept_at < clock_timestamp() - make_interval(secs => %s)
    FROM {live}.rebuilds WHERE id = %s
"""
_FOLLOW = """
    UPDATE {live}.rebuilds SET followed = greatest(followed, %s),
        swept_at = CASE WHEN %s THEN clock_timestamp() ELSE swept_at END
    WHERE id = %s
"""
_SHARE = "SELECT pg_try_advisory_xact_lock_shared(%s, %s)"
_ALONE = "SELECT pg_try_advisory_xact_lock(%s, %s)"
FOLLOW_CLASS = LOCK_CLASS + 1
_NOTE = """
    INSERT INTO {live}.rebuild_findings (rebuild_id, position, event_id, what) VALUES (%s, %s, %s, %s)
    ON CONFLICT (rebuild_id, position) DO UPDATE SET what = excluded.what, found_at = clock_timestamp()
"""
_PACE = """
    UPDATE {live}.rebuilds
    SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => %s::float / rate)
    WHERE id = %s AND rate IS NOT NULL RETURNING extract(epoch FROM next_at - clock_timestamp())::float
"""
_REST = """
    UPDATE {live}.rebuilds SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => %s)
    WHERE id = %s RETURNING extract(epoch FROM next_at - clock_timestamp())::float
"""


def go_on(settings: Settings, processor: type[Processor], *, seconds: float = SLICE) -> int:
    """Go on with the rebuild of a processor for some seconds; how many claims were replayed.

    Returns early where there is nothing to do, or others do it. Raises what a database raises.
    """
    end, replayed, traffic = time.monotonic() + seconds, 0, traffic_of(processor.name, processor.database)
    with connected(settings, processor.database) as (db, events):
        with OpenSchema.bare(db) as driver:
            one = newest(driver, processor.database, processor.name)
        if one is None:
            return 0
        filler = Filler(one, OpenSchema(one, db), events, processor)
        flows, began = traffic.flows(db, events), time.monotonic()
        while (claims := filler.page(SMALL if flows else None)) is not None and time.monotonic() < end:
            replayed += claims
            filler.pace(claims, end)
            if flows:
                filler.give_way(time.monotonic() - began, end)
            flows, began = traffic.flows(db, events), time.monotonic()
        if filler.is_filled:
            replayed += filler.follow(end)
    return replayed


class Filler:
    """Replays the claims of one rebuild, in this process."""

    def __init__(self, one: Rebuild, beside: OpenSchema, events: Connection, processor: type[Processor]) -> None:
        self._one, self._beside, self._events, self._processor = one, beside, events, processor
        self.is_filled = False

    def page(self, limit: int | None = None) -> int | None:
        """The next claims of a range that is free; None where there is no such range. ``limit`` is a batch, or less."""
        claims: int | None = self._patiently(lambda: self._page(min(limit or LAST, self._processor.batch_size)))
        return claims

    def _page(self, limit: int) -> int | None:
        one, live = self._one, self._one.branch
        with self._beside.transaction() as db:
            if not self._shared(db):
                return None
            row = db.execute(_TAKE.format(live=live), (one.id,)).fetchone()
            if row is None:
                self.is_filled = not the_value(db.execute(_IS_OPEN.format(live=live), (one.id,)))
                if self.is_filled:
                    db.execute(_FILLED.format(live=live), (one.id,))
                return None
            low, high, after = row
            claims = replay(db, self._beside, self._events, self._processor, one, after, high, limit=limit)
            done = len(claims) < limit
            last = high if done else claims[-1].position
            db.execute(_MOVE.format(live=live), (last, len(claims), done, one.id, low))
            return len(claims)

    def follow(self, end: float) -> int:
        """Replay what was claimed since; one process at a time does."""
        with self._beside.transaction() as db:
            followed, sweep = db.execute(_FOLLOWED.format(live=self._one.branch), (SWEEP, self._one.id)).fetchone() or (
                0,
                True,
            )
        after, replayed = 0 if sweep else max(0, followed - LOOKBACK), 0
        while time.monotonic() < end:
            claims = self._patiently(lambda after=after: self._followed(after))
            if claims is None:
                return replayed
            if not claims:
                with self._beside.transaction() as db:
                    db.execute(_FOLLOW.format(live=self._one.branch), (after, sweep, self._one.id))
                break
            after, replayed = claims[-1].position, replayed + len(claims)
            self.pace(len(claims), end)
        return replayed

    def _followed(self, after: int) -> list[Claim] | None:
        with self._beside.transaction() as db:
            if not self._shared(db) or not the_value(db.execute(_ALONE, (FOLLOW_CLASS, self._one.id))):
                return None
            return replay(db, self._beside, self._events, self._processor, self._one, after)

    def _shared(self, db: psycopg.Connection[Any]) -> bool:
        """Whether the rebuild goes on, and is not being exchanged."""
        if not the_value(db.execute(_SHARE, (LOCK_CLASS, self._one.id))):
            return False
        now = newest(db, self._one.branch, self._one.processor)
        return now is not None and now.id == self._one.id

    def pace(self, claims: int, end: float) -> None:
        """Sleep for as long as the rate demands, which all workers share."""
        if self._one.rate is None or not claims:
            return
        self._wait(_PACE, claims, end)

    def give_way(self, seconds: float, end: float) -> None:
        """Rest for longer than a page took: all workers of a rebuild together take a part of one processor's time."""
        self._wait(_REST, seconds * REST, end)

    def _wait(self, statement: str, amount: float, end: float) -> None:
        """Put off the next page of all workers, and sleep until it is our turn."""
        with self._beside.transaction() as db:
            row = db.execute(statement.format(live=self._one.branch), (amount, self._one.id)).fetchone()
        wake = time.monotonic() + (float(row[0]) if row else 0.0)
        while (left := min(wake, end) - time.monotonic()) > 0:
            time.sleep(min(left, MOST_PACED))

    def _patiently(self, work: Any) -> Any:
        for collision in range(COLLISIONS + 1):
            try:
                return work()
            except Exception as error:
                if collision == COLLISIONS or not (is_concurrency_fault(error) or sqlstate(error) == LOCKED):
                    raise
                time.sleep(min(1.0, 0.02 * 2**collision))
        raise AssertionError("unreachable")


def replay(
    db: psycopg.Connection[Any],
    beside: OpenSchema,
    events: Connection,
    processor: type[Processor],
    one: Rebuild,
    after: int,
    until: int = LAST,
    within: list[tuple[int, int]] | None = None,
    limit: int | None = None,
) -> list[Claim]:
    """Replay the next claims in the caller's transaction; what cannot be applied is written down as a finding."""
    findings = Findings()
    claims = Replay(beside, events, processor, findings, within=within, whole=True, limit=limit).page(after, until)
    for found in findings.listed:
        log.warning("the rebuild of %s cannot apply the event at %s", processor.name, found.position)
        values = (one.id, found.position, found.event_id, found.what[:1_000])
        db.execute(_NOTE.format(live=one.branch), values)
    return claims
