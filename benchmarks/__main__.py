"""`make bench`: ours, others and the limit at the same work, in one run on servers of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.plan import FULL, MEASURES, SHORT, Plan
from benchmarks.report import text
from benchmarks.results import Results
from benchmarks.rows import ROWS, WHOLE
from benchmarks.run import Run
from benchmarks.stage import Stage


def main() -> None:
    """Run a plan, and print what was found; exit status 1 when a run failed."""
    given = options().parse_args()
    plan = changed(FULL if given.full else SHORT, given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes and folders are cleared away
    with Stage() as stage:
        results = Run(stage, plan).all()
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(results.to_json())
    print(results.to_json() if given.json else text(results))
    sys.exit(1 if failed(results) else 0)


def failed(results: Results) -> bool:
    """Whether a run failed: its total was wrong, it stalled, or it could not keep the rate."""
    return bool(results.failures)


def options() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the full plan: an hour, all peers, three rounds")
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *WHOLE], help="only these rows")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, help="only these measures")
    parser.add_argument("--rates", nargs="+", type=int, help="events a second at which latency is measured")
    numbers = {
        "events": "events of a drain; a peer gets a share of them",
        "rounds": "rounds, of which the median counts",
        "publishing": "events that are published one by one",
        "mails": "mails",
        "whole": "events of the whole system; a peer gets a share of them",
        "whole-costs": "events of which the costs are told by processor",
        "batches": "events for each size of batch",
        "rebuild-events": "events in the log that is rebuilt",
        "held-events": "events of a drain before and behind a transaction that is held open",
        "held-rate": "events a second while it is held open",
        "growth-small": "events in the small log",
        "growth-large": "events in the large log",
    }
    for name, what in numbers.items():
        parser.add_argument(f"--{name}", type=_positive, metavar="N", help=what)
    for name, what in {
        "latency-seconds": "how long events are published at each rate",
        "idle-seconds": "how long idleness is watched",
        "rebuild-seconds": "how long events are published, with and without a rebuild beside them",
        "held-seconds": "how long the transaction is held open",
    }.items():
        parser.add_argument(f"--{name}", type=float, metavar="S", help=what)
    parser.add_argument("--out", type=Path, help="file that the numbers are written into, as JSON")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON document")
    return parser


def changed(plan: Plan, given: argparse.Namespace) -> Plan:
    """The plan with what the command line says otherwise."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(given).items()
        if name in Plan.__slots__ and value is not None
    }
    return replace(plan, **fields)


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
