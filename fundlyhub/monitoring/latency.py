"""How long events take from their publication to their effect, by processor, as its newest claims say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fundlyhub.database import get_engine
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Branch

NEWEST = 200
"""Claims of each processor that are looked at."""

_CLAIMS = """
    SELECT name, position, processed_at FROM unnest(%(names)s::text[]) AS given(name), LATERAL (
        SELECT position, processed_at FROM processed_events WHERE processor = name
        ORDER BY position DESC LIMIT %(newest)s) AS claims
"""
_RECORDED = "SELECT position, recorded_at FROM events.events WHERE position = ANY (%(positions)s::bigint[])"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds at the median and at p99, of so many events."""

    p50: float
    p99: float
    events: int


def latencies(processors: Mapping[str, type[Processor]], *, newest: int = NEWEST) -> dict[str, Latency]:
    """The latency of each of these processors that has applied something.

    From the beginning of the transaction that published an event to that of the one that applied it, of the newest
    events that each has applied. Raises the errors of the databases.
    """
    claims = [claim for branch, names in _branches(processors).items() for claim in _claims(branch, names, newest)]
    with get_engine("events").connect() as db:
        positions = sorted({position for _, position, _ in claims})
        rows = db.exec_driver_sql(_RECORDED, {"positions": positions})
        recorded: dict[int, datetime] = {position: at for position, at in rows}  # noqa: C416  # rows
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for name, position, at in claims:
        if position in recorded:  # else it is archived
            seconds[name].append(max(0.0, (at - recorded[position]).total_seconds()))
    return {name: latency(some) for name, some in seconds.items()}


def latency(seconds: Sequence[float]) -> Latency:
    """The latency of these events, one at least. Pure.

    >>> latency([0.1, 0.2, 9.0])
    Latency(p50=0.2, p99=9.0, events=3)
    """
    order = sorted(seconds)
    return Latency(order[(len(order) - 1) // 2], order[-(-99 * len(order) // 100) - 1], len(order))


def _claims(branch: Branch, names: Sequence[str], newest: int) -> Sequence[tuple[str, int, datetime]]:
    with get_engine(branch).connect() as db:
        rows = db.exec_driver_sql(_CLAIMS, {"names": list(names), "newest": newest})
        return [(name, position, at) for name, position, at in rows]


def _branches(processors: Mapping[str, type[Processor]]) -> Mapping[Branch, list[str]]:
    found: defaultdict[Branch, list[str]] = defaultdict(list)
    for name, processor in processors.items():
        found[processor.database].append(name)
    return found
