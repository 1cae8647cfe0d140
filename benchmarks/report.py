"""`python -m benchmarks.report`: the tables of docs/performance.md, and its plot, from the numbers of a full run."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import whole_tables
from benchmarks.chart import Bar, bars
from benchmarks.results import Results, best_peer
from benchmarks.rows import AVERAGE, ROWS, TITLES
from benchmarks.tables import cell, in_order, markdown, measures, number_text, share, simple, spread
from benchmarks.targets import PEERS, targets

DOCS = Path(__file__).parents[1] / "docs"
NUMBERS, PAGE, PLOT = DOCS / "performance.json", DOCS / "performance.md", DOCS / "performance.svg"
_MARKED = re.compile(r"(<!-- bench: ([a-z]+) -->\n).*?(<!-- bench: end -->)", re.DOTALL)


def main() -> None:
    """Write the page and the plot anew."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    options.add_argument("--numbers", type=Path, default=NUMBERS, help="what a run has written (docs/performance.json)")
    options.add_argument("--page", type=Path, default=PAGE, help="the page between whose marks they go")
    options.add_argument("--plot", type=Path, default=PLOT, help="the plot of the drain")
    given = options.parse_args()
    results = Results.read(given.numbers)
    given.page.write_text(filled(given.page.read_text(), results))
    given.plot.write_text(plot(results))


def filled(page: str, results: Results) -> str:
    """A page with the tables of these results between its marks.

    Raises KeyError when a mark names no table.
    """
    return _MARKED.sub(lambda mark: f"{mark[1]}{TABLES[mark[2]](results)}{mark[3]}", page)


def text(results: Results) -> str:
    """Everything, for a terminal."""
    return "\n".join(f"{name}\n{table(results)}" for name, table in TABLES.items() if table(results))


def plot(results: Results) -> str:
    """The drain of each row, as SVG."""
    found = [(key, results.number("drain", key, "events_per_s")) for key in ROWS]
    return bars(
        "Events a second from a backlog (logarithmic)",
        [
            Bar(ROWS[key].title, number.median, number.lowest, number.highest, ROWS[key].kind)
            for key, number in found
            if number is not None
        ],
    )


def _about(results: Results) -> str:
    about = results.about
    rounds = about["rounds"]
    lines = [
        f"Measured on {about['date']}: {about['cores']} cores, PostgreSQL {about['postgresql']}, Python "
        f"{about['python']}, Celery {about['celery']}; {about['events']:,} events a drain (a peer gets a share); "
        + ("one round" if rounds == 1 else f"medians of {rounds} rounds, with the least and the most of them")
        + f"; load {about['load']} at the start (0 is a machine that does nothing else).",
        "",
        *(f"* Left out: {ROWS[key].title}: {reason}." for key, reason in results.missing.items()),
        *(f"* Failed, and so without a number: {failure}." for failure in results.failures),
    ]
    return "\n".join(lines) + "\n"


def _targets(results: Results) -> str:
    said = {True: "met", False: "**not met**", None: "not measured"}
    rows = [
        (one.what, one.bound, "" if one.found is None else f"{number_text(one.found)} {one.unit}", said[one.met])
        for one in targets(results)
    ]
    return markdown(("measure", "target", "found", ""), rows)


def _drain(results: Results) -> str:
    best = best_peer(results, "drain", "events_per_s", PEERS, least=False)
    base = {name: results.number("drain", row, "events_per_s") if row else None for name, row in (
        ("average", AVERAGE), ("peer", best), ("limit", "limit"),
    )}  # fmt: skip
    rows = []
    for key in in_order(results, "drain"):
        rate = results.number("drain", key, "events_per_s")
        assert rate is not None
        ratios = [f"{rate.median / other.median:.2f}" if other else "" for other in base.values()]
        costs = [cell(results, "drain", key, name) for name in ("client_cpu_us", "server_cpu_us", "wal_bytes")]
        memory = [cell(results, "drain", key, name) for name in ("worker_mb", "relay_mb")]
        rows.append((TITLES[key], spread(rate), *ratios, *costs, *memory))
    head = ("row", "events/s", "× average Celery", "× best peer", "× limit", "CPU µs/event", "servers' CPU µs/event",
            "WAL B/event", "worker MB", "relay MB")  # fmt: skip
    return markdown(head, rows)


def _latency(results: Results) -> str:
    rows = []
    for measure in measures(results, "latency at "):
        for key in in_order(results, measure):
            cells = [spread(results.number(measure, key, name)) for name in ("p50", "p95", "p99")]
            rows.append((measure.removeprefix("latency at "), TITLES[key], *cells))
    return markdown(("rate", "row", "p50 ms", "p95 ms", "p99 ms"), rows)


def _hop(results: Results) -> str:
    rows = [
        (row, *(spread(results.number("hop", row, name)) for name in ("p50", "p95", "p99")))
        for row in results.rows("hop")
    ]
    return markdown(("a task that does nothing", "p50 ms", "p95 ms", "p99 ms"), rows)


def _publishing(results: Results) -> str:
    rows = [
        (
            kind,
            spread(results.number("publishing", kind, "by_hand_per_s")),
            spread(results.number("publishing", kind, "events_per_s")),
            share(results.number("publishing", kind, "lost")),
        )
        for kind in results.rows("publishing")
    ]
    return markdown(("business transaction with", "INSERT by hand, events/s", "ours, events/s", "lost"), rows)


def _relay(results: Results) -> str:
    return simple(results, "relay", {"events/s": "events_per_s", "most MB": "relay_mb"})


def _mail(results: Results) -> str:
    columns = {"mails/s": "mails_per_s", "CPU µs/mail": "client_cpu_us", "servers' CPU µs/mail": "server_cpu_us",
               "the provider's": "provider_cpu_us"}  # fmt: skip
    return simple(results, "mail", columns)


def _batches(results: Results) -> str:
    rows = [(size, spread(results.number("batches", size, "events_per_s"))) for size in results.rows("batches")]
    return markdown(("executor alone, one process", "events/s"), rows)


def _idle(results: Results) -> str:
    columns = {"relay, % of a core": "relay_percent", "worker, % of a core": "worker_percent", "relay MB": "relay_mb",
               "worker MB": "worker_mb"}  # fmt: skip
    return simple(results, "idle", columns)


def _grown(results: Results) -> str:
    about = results.about
    rows = [
        (
            step,
            spread(results.number("growth", step, "small_per_s")),
            spread(results.number("growth", step, "large_per_s")),
            share(results.number("growth", step, "lost")),
        )
        for step in results.rows("growth")
    ]
    head = f"events/s at {about['growth_small']:,}", f"events/s at {about['growth_large']:,}"
    return markdown(("step", *head, "lost"), rows)


def _held(results: Results) -> str:
    columns = {
        "published/s": "offered_per_s", "applied/s": "kept_per_s", "p99 ms": "kept_p99",
        "drain before, events/s": "before_per_s", "drain at its end": "held_per_s", "when it is over": "over_per_s",
        "held s": "held_s",
    }  # fmt: skip
    return simple(results, "held", columns)


def _rebuild(results: Results) -> str:
    columns = {
        "drain, events/s": "drain_per_s", "rebuild, events/s": "rebuild_per_s", "rebuild / drain": "ratio",
        "p99 ms without": "p99", "p99 ms beside": "p99_beside", "p99 beside / without": "p99_ratio",
        "swap locked ms": "swap_ms", "undo locked ms": "undo_ms",
    }  # fmt: skip
    return simple(results, "rebuild", columns)


TABLES: Mapping[str, Callable[[Results], str]] = {
    "about": _about,
    "targets": _targets,
    "drain": _drain,
    "latency": _latency,
    "hop": _hop,
    "publishing": _publishing,
    "relay": _relay,
    "mail": _mail,
    "batches": _batches,
    "idle": _idle,
    "rebuild": _rebuild,
    "processes": whole_tables.processes,
    "whole": whole_tables.whole,
    "wholelatency": whole_tables.latency,
    "wholecosts": whole_tables.costs,
    "growth": _grown,
    "held": _held,
}


if __name__ == "__main__":
    main()
