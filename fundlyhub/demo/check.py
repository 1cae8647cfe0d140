"""Checking the tables of the processors against the business tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from fundlyhub.database import connect
from fundlyhub.demo import business
from fundlyhub.demo.finding import check_search
from fundlyhub.demo.social import check_counts, check_feeds, check_subscriptions
from fundlyhub.settings import Settings

COLUMNS = (
    "total_raised", "donation_count", "average_donation", "unique_donors", "largest_donation", "first_donation_at",
    "last_donation_at", "refund_count", "total_refunded",
)  # fmt: skip

_FOUND = """
    SELECT campaign_id, currency, total_raised, donation_count, average_donation, unique_donors, largest_donation,
           first_donation_at, last_donation_at, refund_count, total_refunded
    FROM campaign_stats_projection WHERE campaign_id = ANY (%(campaigns)s)
"""

Key = tuple[UUID, str]
Numbers = Mapping[Key, Sequence[Any]]
Mismatch = dict[str, Any]
"""A difference: ``what`` it is in, ``expected`` and ``found``."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The statistics of both sides, by campaign and currency; how much was checked, and the differences."""

    expected: Numbers
    found: Numbers
    titles: Mapping[UUID, str]
    checked: Mapping[str, int]
    mismatches: list[Mismatch]


def compare(settings: Settings, run: int) -> Comparison:
    """Compare all tables of a run; missing and surplus rows are differences too."""
    with connect("events", settings=settings) as db:
        titles: dict[UUID, str] = dict(db.execute(business.CAMPAIGNS, (run,)).fetchall())
        expected = _numbers(db.execute(business.STATISTICS, {"run": run}))
    with connect("analytics", settings=settings) as db:
        found = _numbers(db.execute(_FOUND, {"campaigns": list(titles)}))
    mismatches = list(_mismatches(expected, found))
    checked = {"statistics": len(expected) * len(COLUMNS)}
    for name, check in (
        ("subscriptions", check_subscriptions),
        ("follow_counts", check_counts),
        ("feed_lines", check_feeds),
        ("search_hits", check_search),
    ):
        checked[name], wrong = check(settings, run)
        mismatches += wrong
    return Comparison(expected, found, titles, checked, mismatches)


def _numbers(rows: psycopg.Cursor[Any]) -> Numbers:
    return {(row[0], row[1]): row[2:] for row in rows}


def _mismatches(expected: Numbers, found: Numbers) -> Iterator[Mismatch]:
    nothing = (None,) * len(COLUMNS)
    for key in sorted(expected.keys() | found.keys()):
        sides = zip(COLUMNS, expected.get(key, nothing), found.get(key, nothing), strict=True)
        for column, should, is_ in sides:
            if should != is_:
                yield {
                    "what": f"statistics: {column} of {key[0]} in {key[1]}",
                    "expected": _shown(should), "found": _shown(is_),
                }  # fmt: skip


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)
