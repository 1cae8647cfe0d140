"""``python -m benchmarks.reading``: times and plans of feeds and searches in large tables, as Markdown."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from sqlalchemy import text

from benchmarks.reading import feeds, searches
from benchmarks.reading.plan import Measured
from benchmarks.server import platform
from fundlyhub.database import get_engine
from fundlyhub.settings import Branch


def main() -> None:
    """Fill the tables, read them, and print what was found."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    options.add_argument("--activities", type=int, default=1_000_000, help="in the feeds (default 1,000,000)")
    options.add_argument("--campaigns", type=int, default=200_000, help="in the search (default 200,000)")
    given = options.parse_args()
    with platform():
        with get_engine("app").begin() as db:
            say(f"filling {given.activities:,} activities")
            feeds.fill(db, given.activities)
        vacuum("app")
        with get_engine("app").begin() as db:
            say("reading feeds")
            read = feeds.reads(db)
            fanned = feeds.fan_outs(db, given.activities)
        with get_engine("analytics").begin() as db:
            say(f"filling {given.campaigns:,} campaigns")
            searches.fill(db, given.campaigns)
        vacuum("analytics")
        with get_engine("analytics").begin() as db:
            say("searching")
            found = searches.reads(db)
            version = db.execute(text("SHOW server_version")).scalar_one()
    report(given, str(version), read, fanned, found)


def vacuum(branch: Branch) -> None:
    """What autovacuum does in time: statistics, and the visibility map that index-only scans want."""
    with get_engine(branch).connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("VACUUM ANALYZE")


def say(what: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what} ...\n")


def report(
    given: argparse.Namespace, version: str, read: list[Measured], fanned: dict[str, float], found: list[Measured]
) -> None:
    """Everything as a page of docs/."""
    out = [
        "# Feeds and searches in large tables: times and plans",
        "",
        f"Written by `python -m benchmarks.reading`; PostgreSQL {version}, two cores, everything in memory, medians of "
        "15 rounds. Milliseconds depend on the machine; the shapes of the plans do not. What follows from the numbers "
        "is in [activity-feed.md](activity-feed.md) and [search.md](search.md).",
        "",
        f"## Feeds: {given.activities:,} activities, {given.activities // 10:,} users, {given.activities // 50:,} "
        f"campaigns, {given.activities:,} follows",
        "",
        *table(read, "lines"),
        "",
        "Fan-out, per activity (the newest 2,000):",
        "",
        "| | rows written | ms to write | ms to read a page of a user who follows 5,000 |",
        "|---|---|---|---|",
        f"| on read: timelines of actor and campaign | {fanned['timelines_rows']:.1f} | {fanned['timelines_ms']:.3f} | "
        f"{next(one.ms for one in read if '5,000' in one.what):.1f} |",
        f"| on write: an inbox per follower | {fanned['inboxes_rows']:.1f} | {fanned['inboxes_ms']:.3f} | "
        f"{fanned['inbox_read_ms']:.1f} |",
        "",
        f"## Searches: {given.campaigns:,} campaigns",
        "",
        *table(found, "matches"),
        "",
        *plans([*read, *found]),
    ]
    sys.stdout.write("\n".join(out))


def table(rows: Iterable[Measured], what: str) -> list[str]:
    """The numbers."""
    return [f"| | {what} | ms |", "|---|---|---|", *(f"| {one.what} | {one.rows:,} | {one.ms:.1f} |" for one in rows)]


def plans(rows: Iterable[Measured]) -> Iterable[str]:
    """The plans that are told."""
    for one in rows:
        if one.plan:
            yield from (f"### Plan: {one.what}", "", "```text", one.plan, "```", "")


if __name__ == "__main__":
    main()
