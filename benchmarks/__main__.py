"""``make bench``: what batches gain, in publishing and in processing, as ratios within one run."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random
from uuid import UUID

from benchmarks.server import platform
from fundlyhub import DonationCompleted, publish_event, publish_events
from fundlyhub.database import connect
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor

SIZES = (1, 10, 100, 500, 2_000)


def main() -> None:
    """Run all measurements and print them."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--events", type=int, default=20_000, help="events per measurement (default 20,000)")
    options.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default 3)")
    options.add_argument("--json", action="store_true", help="print one JSON document")
    given = options.parse_args()
    with platform():
        rows = measure(given.events, given.rounds)
    report(rows, given.json)


def measure(events: int, rounds: int) -> dict[str, list[float]]:
    """Events per second by what was measured, one number a round."""
    rng = Random(1)
    rows: dict[str, list[float]] = {}
    for _ in range(rounds):
        for size in (1, 100, 1_000):
            count = events if size > 1 else events // 10
            rate = timed(count, lambda count=count, size=size: publish(donations(rng, count), size))
            rows.setdefault(f"publish, {size:,} a transaction", []).append(rate)
        for size in SIZES:
            count = events if size > 1 else events // 10
            positions = [event.position or 0 for event in publish_events(donations(rng, count))]
            rate = timed(count, lambda positions=positions, size=size: drain(positions, size))
            rows.setdefault(f"campaign_stats, {size:,} a batch", []).append(rate)
    check()
    return rows


def donations(rng: Random, count: int) -> list[DonationCompleted]:
    """Gifts to 1,000 campaigns, of which a few get most."""
    return [
        DonationCompleted(
            donation_id=UUID(int=rng.getrandbits(128)),
            campaign_id=UUID(int=int(1_000 ** rng.random())),
            donor_id=UUID(int=rng.randrange(20_000)),
            amount=Decimal(rng.randrange(100, 50_000)) / 100,
            currency="USD",
            net_amount=Decimal("1.00"),
            payment_provider="stripe",
            transaction_id="pi_bench",
        )
        for _ in range(count)
    ]


def publish(payloads: list[DonationCompleted], size: int) -> None:
    """Publish so many a transaction."""
    if size == 1:
        for payload in payloads:
            publish_event(payload)
        return
    for start in range(0, len(payloads), size):
        publish_events(payloads[start : start + size])


def drain(positions: list[int], size: int) -> None:
    """Run the executor over the positions, so many a batch."""
    for start in range(0, len(positions), size):
        execute(CampaignStatsProcessor, positions[start : start + size])


def timed(count: int, action: Callable[[], None]) -> float:
    """Events per second."""
    start = time.perf_counter()
    action()
    return count / (time.perf_counter() - start)


def check() -> None:
    """The numbers of what was drained must be exact, or the rates mean nothing."""
    with connect("events") as db:
        row = db.execute(
            """
            SELECT (SELECT sum(total_raised) FROM analytics.campaign_stats_projection),
                   (SELECT sum((payload ->> 'amount')::numeric) FROM events.events e
                    JOIN analytics.processed_events p USING (position))
            """
        ).fetchone()
    if row is None or row[0] != row[1]:
        raise SystemExit(f"the totals differ: {row}")


def report(rows: dict[str, list[float]], as_json: bool) -> None:
    """Medians with minimum and maximum, and the ratio to the smallest batch of the same kind."""
    table = []
    base: dict[str, float] = {}
    for name, rates in rows.items():
        kind = name.partition(",")[0]
        median = statistics.median(rates)
        base.setdefault(kind, median)
        table.append(
            {"what": name, "events_per_s": median, "min": min(rates), "max": max(rates), "ratio": median / base[kind]}
        )
    if as_json:
        print(json.dumps(table, indent=2))
        return
    for row in table:
        print("{what:32} {events_per_s:>9,.0f}/s  ({min:,.0f} to {max:,.0f})  ×{ratio:.1f}".format(**row))


if __name__ == "__main__":
    main()
