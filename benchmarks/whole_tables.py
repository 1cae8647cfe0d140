"""The tables of the whole system."""

from __future__ import annotations

from benchmarks.results import Results
from benchmarks.rows import AVERAGE_WHOLE, CHANNEL_OF, TITLES
from benchmarks.tables import cell, in_order, markdown, measures, spread


def whole(results: Results) -> str:
    """The drain of everything."""
    base = [results.number("whole", row, "events_per_s") for row in (AVERAGE_WHOLE, "whole-limit")]
    names = ("messages_per_s", "client_cpu_us", "server_cpu_us", "provider_cpu_us", "wal_bytes")
    rows = []
    for key in in_order(results, "whole"):
        rate = results.number("whole", key, "events_per_s")
        assert rate is not None
        ratios = [f"{rate.median / other.median:.2f}" if other else "" for other in base]
        rows.append((TITLES[key], spread(rate), *ratios, *(cell(results, "whole", key, name) for name in names)))
    head = ("row", "events/s", "× average Celery", "× limit", "messages/s", "CPU µs/event", "servers' CPU µs/event",
            "the provider's", "WAL B/event")  # fmt: skip
    return markdown(head, rows)


def latency(results: Results) -> str:
    """The latency of everything, by rate."""
    names = [f"{kind}{rank}" for kind in ("", "message_") for rank in ("p50", "p95", "p99")]
    rows = [
        (
            measure.removeprefix("whole at "),
            TITLES[key],
            *(spread(results.number(measure, key, name)) for name in names),
        )
        for measure in measures(results, "whole at ")
        for key in in_order(results, measure)
    ]
    head = ("p50 ms", "p95 ms", "p99 ms", "message p50 ms", "message p95 ms", "message p99 ms")
    return markdown(("rate", "row", *head), rows)


def costs(results: Results) -> str:
    """What each row and each processor costs."""
    names = ("client_cpu_us", "server_cpu_us", "wal_bytes", "statements", "round_trips")
    rows = [
        (TITLES.get(key, key), "message" if key in CHANNEL_OF else "event",
         *(cell(results, "whole_costs", key, name) for name in names))
        for key in results.rows("whole_costs")
    ]  # fmt: skip
    head = ("row or processor", "of each", "CPU µs", "servers' CPU µs", "WAL B", "statements", "round trips")
    return markdown(head, rows)


def processes(results: Results) -> str:
    """The drain by worker processes."""
    names = ("events_per_s", "client_cpu_us", "server_cpu_us")
    rows = [
        (key, *(spread(results.number("processes", key, name)) for name in names)) for key in results.rows("processes")
    ]
    return markdown(("worker processes", "events/s", "CPU µs/event", "servers' CPU µs/event"), rows)
