"""`fundlyhub dlq replay`: send dead letters again, a few first, and tell what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.dlq.selecting import as_list, selected, selection, tell_unchanged
from fundlyhub.cli.options import by_option, optional_reason
from fundlyhub.cli.output import Answer, Aside, answers
from fundlyhub.cli.progress import progress_bar
from fundlyhub.cli.wiring import known_processors, publisher
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Replayed, Terms

SHOWN = 20
"""Ids that a line names at most."""


@click.command("replay", short_help="Replay letters: first 1, then 10, then all.")
@selection
@click.option("--dry-run", is_flag=True, help="Show which would be replayed; do nothing.")
@click.option("--rate", type=click.FloatRange(0.01, 100_000), help="Replay at most this many letters a second.")
@click.option(
    "--max-failures", type=click.FloatRange(0, 1), default=0.1, show_default=True,
    help="Stop if more than this share of a wave fails again.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(1, 86_400), default=120.0, show_default=True,
    help="Seconds to wait for the results of a wave, retries included.",
)  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Send all at once, and do not wait for results.")
@optional_reason
@by_option
@answers
def replay(
    letters: tuple[int, ...], wanted: Filter, everything: bool, dry_run: bool, rate: float | None, max_failures: float,
    timeout: float, no_wait: bool, reason: str | None, who: str,
) -> Answer:  # fmt: skip
    """Replay letters: those with these IDs, or all open ones that match the filter.

    Letters are sent in waves: first 1, then 10, then at most 500 at a time. The command waits for the results of each
    wave, and stops if too many fail. The exit status is 0 if all of them are applied. An event that was applied before
    is not applied again.
    """
    known_processors()
    with transaction("events") as db:
        ids = selected(db, letters, wanted, everything, "open")
        if dry_run:
            return _dry_run(*dead_letters.choose(db, ids))
    terms = Terms(rate=rate, max_failures=max_failures, timeout=timeout, wait=not no_wait)
    with publisher() as broker, _progress(len(ids)) as progress:
        done = dead_letters.replay(ids, broker, who=who, reason=reason, terms=terms, progress=progress)
    return Answer(as_document(done), *tell(done), good=is_good(done, no_wait=no_wait))


@contextmanager
def _progress(letters: int) -> Iterator[Callable[[Replayed], None]]:
    with progress_bar("Replaying") as tell:

        def show(report: Replayed) -> None:
            failed = len(report.ended("failed"))
            settled = len(report.ended("applied", "skipped", "failed", "discarded")) + len(report.unchanged)
            tell(f"replaying, {failed:,} failed" if failed else "replaying", settled, letters)

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


def tell(done: Replayed) -> Iterator[str]:
    """For people: the same."""
    yield from tell_unchanged(done.unchanged)
    lines = (
        ("applied", done.ended("applied")),
        ("applied before, nothing changed", done.ended("skipped")),
        ("failed again", done.ended("failed")),
        ("discarded meanwhile", done.ended("discarded")),
        ("still under way, see `fundlyhub dlq list --state replayed`", done.ended("pending")),
        ("left as they were", done.left),
    )
    yield f"{len(done.ends):,} replayed"
    for what, ids in lines:
        if ids:
            yield f"  {len(ids):,} {what}: {_ids(ids)}"
    if done.stopped is not None:
        yield Aside(f"stopped: {done.stopped}")


def _dry_run(able: Sequence[int], unable: dict[int, str]) -> Answer:
    document = {"dry_run": True, "would_replay": list(able), "unchanged": as_list(unable)}
    would = f"{len(able):,} would be replayed{': ' if able else ''}{_ids(able)}"
    return Answer(document, *tell_unchanged(unable), would)


def _ids(ids: Sequence[int]) -> str:
    return ", ".join(str(id) for id in ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
