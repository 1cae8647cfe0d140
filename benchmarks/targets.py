"""The targets: ratios within one run, and whether they are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.results import Results, best_peer
from benchmarks.rows import AVERAGE, AVERAGE_WHOLE, ROWS

PEERS = tuple(key for key, row in ROWS.items() if row.kind == "peer")


class Target(NamedTuple):
    """One target: what it is about, its bound, what was found, and whether that meets it (None: not measured)."""

    what: str
    bound: str
    found: float | None
    unit: str
    met: bool | None


def targets(results: Results) -> Iterator[Target]:
    """All of them, in the order of the page."""

    def value(measure: str, row: str, quantity: str = "events_per_s") -> float | None:
        return _median(results, measure, row, quantity)

    def best(measure: str, quantity: str, *, least: bool) -> float | None:
        row = best_peer(results, measure, quantity, PEERS, least=least)
        return None if row is None else value(measure, row, quantity)

    drain, average = value("drain", "ours"), value("drain", AVERAGE)
    yield _at_least("drain against the average team's Celery", _ratio(drain, average), 50, "×")
    peer = best("drain", "events_per_s", least=False)
    yield _at_least("drain against the best of the peers", _ratio(drain, peer), 12, "×")
    yield _at_least("drain against the limit", _ratio(drain, value("drain", "limit")), 0.85, "×")
    everything = value("drain", "ours-all")
    yield _at_least("drain with all processors against that Celery with one", _ratio(everything, average), 20, "×")
    whole = value("whole", "whole")
    theirs, limit = value("whole", AVERAGE_WHOLE), value("whole", "whole-limit")
    yield _at_least("whole system against the average team's Celery doing it all", _ratio(whole, theirs), 10, "×")
    yield _at_least("whole system against the limit of the whole", _ratio(whole, limit), 0.6, "×")
    for rank, bound in (("p50", 12), ("p99", 50)):
        found = value("whole at 50/s", "whole", rank)
        yield _at_most(f"whole system at 50 events/s, to the last write or projection, {rank}", found, bound, "ms")
    more = _ratio(value("processes", "8 processes"), value("processes", "4 processes"))
    yield _at_least("drain with 8 worker processes against that with 4", more, 0.95, "×")
    mails = _ratio(value("mail", "ours", "mails_per_s"), value("mail", AVERAGE, "mails_per_s"))
    yield _at_least("mails against the average team's Celery", mails, 2.5, "×")
    files = value("mail", "ours-files", "client_cpu_us")
    yield _at_most("mails to files, CPU of relay and worker a mail", _thousandth(files), 1, "ms")
    light = "latency at 50/s"
    p50 = value(light, "ours", "p50")
    yield _at_most("latency at 50 events/s, p50", p50, 4.5, "ms")
    yield _at_most("latency at 50 events/s, p99", value(light, "ours", "p99"), 12, "ms")
    fastest = _ratio(p50, best(light, "p50", least=True))
    yield _at_most("its p50 against that of the fastest peer", fastest, 1.2, "×")
    yield _at_most("latency at 5,000 events/s, p99", value("latency at 5,000/s", "ours", "p99"), 250, "ms")
    for driver in ("psycopg", "SQLAlchemy"):
        lost = value("publishing", f"1 event, {driver}", "lost")
        yield _at_most(f"`publish_event` in a business transaction of {driver}, rate lost", _percent(lost), 10, "%")
    yield _at_least("relay alone, Valkey", value("relay", "ours"), 100_000, "events/s")
    yield _at_least("relay alone, RabbitMQ", value("relay", "ours-rabbitmq"), 50_000, "events/s")
    yield _at_most("relay's memory", value("relay", "ours", "relay_mb"), 120, "MB")
    yield _at_most("relay and worker idle, of one core", value("idle", "ours", "percent"), 2, "%")
    yield _at_least("rebuild of campaign statistics against their drain", value("rebuild", "ours", "ratio"), 1, "×")
    beside = value("rebuild", "ours", "p99_ratio")
    yield _at_most("p99 at 500 events/s beside a rebuild against that without one", beside, 2, "×")
    yield _at_most("a swap's lock, at 500 events/s", value("rebuild", "ours", "swap_ms"), 200, "ms")
    yield from _growth(results)


def _growth(results: Results) -> Iterator[Target]:
    for step in results.rows("growth"):
        lost = _percent(_median(results, "growth", step, "lost"))
        yield _at_most(f"a large log, {step}: rate lost", lost, 20, "%")
    for what, quantity in (("a steady rate", "kept_lost"), ("a drain", "lost")):
        lost = _percent(_median(results, "held", "ours", quantity))
        yield _at_most(f"a transaction held open, {what}: rate lost", lost, 10, "%")


def _median(results: Results, measure: str, row: str, quantity: str) -> float | None:
    number = results.number(measure, row, quantity)
    return None if number is None else number.median


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _thousandth(number: float | None) -> float | None:
    return None if number is None else number / 1_000


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _at_least(what: str, found: float | None, bound: float, unit: str) -> Target:
    return _target(what, f"≥ {bound:,} {unit}", found, unit, lambda value: value >= bound)


def _at_most(what: str, found: float | None, bound: float, unit: str) -> Target:
    return _target(what, f"≤ {bound:,} {unit}", found, unit, lambda value: value <= bound)


def _target(what: str, bound: str, found: float | None, unit: str, meets: Callable[[float], bool]) -> Target:
    return Target(what, bound, found, unit, None if found is None else meets(found))
