"""Drops partitions of claims, and decides which may be dropped, and why others not.

A dropped range is refused from then on, by a constraint of the default partition, which would take its rows. Range,
constraint and the row in ``dropped_claims`` change in one transaction, so that there is no half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from fundlyhub.database.audited import named
from fundlyhub.database.rows import the_value
from fundlyhub.processing.processor import Processor
from fundlyhub.retention import log_marks
from fundlyhub.retention.claims.partitions import Partition, Range, alone, existing
from fundlyhub.settings import Branch

# What waits, rests, or is under way again. ``others`` have their claims in another database.
_HELD = """
    SELECT what, processor, count(*) FROM (
        SELECT 'open dead letters' AS what, processor FROM events.dead_letters
        WHERE position BETWEEN %(low)s AND %(high)s AND state IN ('open', 'replayed')
        UNION ALL
        SELECT 'attempts', processor FROM events.attempts WHERE position BETWEEN %(low)s AND %(high)s) held
    WHERE processor <> ALL (%(others)s) GROUP BY what, processor ORDER BY what, processor
"""

_DROP = "SELECT drop_claims_partition(%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about the partitions of one database. Positions; ``passed`` by processor."""

    old: int
    """The log had come this far before the retention."""
    passed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A partition, and what keeps it: nothing, when it may go."""

    partition: Partition
    kept_by: tuple[str, ...]


def facts(log: psycopg.Connection[Any], others: Sequence[str], retention: timedelta | None) -> Facts:
    """What is known of the log now. ``others`` are processors that have their claims elsewhere."""
    old = 0 if retention is None else log_marks.older_than(log, retention)
    return Facts(old, {name: at for name, at in log_marks.passed(log).items() if name not in others})


def elsewhere(branch: Branch, processors: Mapping[str, type[Processor]]) -> list[str]:
    """Processors whose claims are surely in another database: one that this code does not know may be in any."""
    return [name for name, cls in processors.items() if cls.database != branch]


def too_young(part: Range, known: Facts) -> Iterator[str]:
    """What the log says against dropping a partition. Pure."""
    if part.high > known.old:
        yield "younger than the retention"
    behind = [name for name, position in sorted(known.passed.items()) if position < part.high]
    if behind:
        yield f"not passed by {', '.join(behind)}"
    if not known.passed:
        yield "no processor is registered"


def verdicts(
    log: psycopg.Connection[Any], db: psycopg.Connection[Any], others: Sequence[str], known: Facts
) -> list[Verdict]:
    """Each partition of a database, in order, with all that keeps it."""
    return [_verdict(log, one, others, known) for one in existing(db)]


def _verdict(log: psycopg.Connection[Any], one: Partition, others: Sequence[str], known: Facts) -> Verdict:
    against = list(too_young(one.range, known))
    if not against:  # otherwise it does not matter, and the letters are many
        held = log.execute(_HELD, {**one.range._asdict(), "others": list(others)})
        against = [f"{count:,} {what} of {name}" for what, name, count in held]
    return Verdict(one, tuple(against))


def drop(db: psycopg.Connection[Any], partition: Partition, who: str) -> Mapping[str, int] | None:
    """Drop a partition; the claims that it had by processor, or None when another process drops it or has dropped it.

    ``db`` is an autocommit connection. A psycopg.Error tells that a lock was not to be had within a second:
    nothing has changed then.
    """
    name, (low, high) = partition
    with db.transaction():
        if not alone(db) or partition not in existing(db):
            return None
        return dict(the_value(db.execute(_DROP, (name, low, high, named(who)))))
