"""`fundlyhub dlq replay`: send dead letters again, a few first, and tell what became of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from fundlyhub.cli.dlq.selecting import as_list, events_db, selected, selection, tell_unchanged
from fundlyhub.cli.operator import by_option
from fundlyhub.cli.output import json_option, print_json
from fundlyhub.cli.wiring import known_processors, publisher
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Replayed, Terms

SHOWN = 20
"""Ids that a line names at most."""


@click.command("replay", short_help="Send letters again: 1, then 10, then all.")
@selection
@click.option("--dry-run", is_flag=True, help="Only say which would be replayed.")
@click.option("--rate", type=click.FloatRange(0.01, 100_000), help="Letters a second at most.")
@click.option(
    "--max-failures", type=click.FloatRange(0, 1), default=0.1, show_default=True,
    help="Stop when more than this share of a wave fails again.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(1, 86_400), default=120.0, show_default=True,
    help="Seconds to wait for a wave's results; retries are awaited too.",
)  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Send all, and wait for no result: without 1 and 10 before.")
@click.option("--reason", help="Why; it is kept, and shown to everybody.")
@by_option
@json_option
def replay(
    letters: tuple[int, ...], wanted: Filter, everything: bool, dry_run: bool, rate: float | None, max_failures: float,
    timeout: float, no_wait: bool, reason: str | None, who: str, as_json: bool,
) -> None:  # fmt: skip
    """Send letters again: those of these IDs, or all open ones that a filter finds.

    First 1, then 10, then the others in waves of at most 500; each wave's results are awaited, and too many failures
    stop it. The exit status is 0 when all of them are applied. An event that was applied before is not applied again.
    """
    known_processors()
    with events_db() as db:
        ids = selected(db, letters, wanted, everything, "open")
        if dry_run:
            _tell_dry_run(*dead_letters.choose(db, ids), as_json)
            return
    terms = Terms(rate=rate, max_failures=max_failures, timeout=timeout, wait=not no_wait)
    with publisher() as broker, _progress(len(ids)) as progress:
        done = dead_letters.replay(ids, broker, who=who, reason=reason, terms=terms, progress=progress)
    if as_json:
        print_json(as_document(done))
    else:
        tell(done)
    if not is_good(done, no_wait=no_wait):
        sys.exit(1)


@contextmanager
def _progress(letters: int) -> Iterator[Callable[[Replayed], None]]:
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task("Replaying", total=letters)

        def show(report: Replayed) -> None:
            failed = len(report.ended("failed"))
            settled = len(report.ended("applied", "skipped", "failed", "discarded")) + len(report.unchanged)
            bar.update(task, completed=settled, description=f"Replaying, {failed:,} failed" if failed else "Replaying")

        yield show


def is_good(done: Replayed, *, no_wait: bool) -> bool:
    """Whether every letter is where it should be: applied, or at least sent."""
    left = done.left or done.ended("failed", "discarded") or (done.stopped and not no_wait)
    others = [state for state in done.unchanged.values() if state != "resolved"]
    pending = done.ended("pending") and not no_wait
    return not (left or others or pending or done.stopped)


def as_document(done: Replayed) -> dict[str, Any]:
    """For programs: what became of which letters."""
    return {
        "replayed": len(done.ends),
        "applied": done.ended("applied"),
        "applied_before": done.ended("skipped"),
        "failed": done.ended("failed"),
        "discarded": done.ended("discarded"),
        "pending": done.ended("pending"),
        "unchanged": as_list(done.unchanged),
        "left": list(done.left),
        "stopped": done.stopped,
    }


def tell(done: Replayed) -> None:
    """For people: the same."""
    tell_unchanged(done.unchanged)
    lines = (
        ("applied", done.ended("applied")),
        ("applied before, nothing changed", done.ended("skipped")),
        ("failed again", done.ended("failed")),
        ("discarded meanwhile", done.ended("discarded")),
        ("still under way, see `fundlyhub dlq list --state replayed`", done.ended("pending")),
        ("left as they were", done.left),
    )
    click.echo(f"{len(done.ends):,} replayed")
    for what, ids in lines:
        if ids:
            click.echo(f"  {len(ids):,} {what}: {_ids(ids)}")
    if done.stopped is not None:
        click.echo(f"stopped: {done.stopped}", err=True)


def _tell_dry_run(able: Sequence[int], unable: dict[int, str], as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": True, "would_replay": list(able), "unchanged": as_list(unable)})
        return
    tell_unchanged(unable)
    click.echo(f"{len(able):,} would be replayed{': ' if able else ''}{_ids(able)}")


def _ids(ids: Sequence[int]) -> str:
    return ", ".join(str(id) for id in ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
