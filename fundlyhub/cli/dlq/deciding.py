"""`fundlyhub dlq discard` and `restore`: let letters rest for good, and take that back."""

from __future__ import annotations

import sys

import click

from fundlyhub.cli.dlq.selecting import as_list, events_db, selected, selection, tell_unchanged
from fundlyhub.cli.operator import by_option
from fundlyhub.cli.output import json_option, print_json
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Changes, Filter, State


@click.command("discard", short_help="Let letters rest for good, with a reason.")
@selection
@click.option("--reason", required=True, help="Why; it is kept, and shown to everybody.")
@by_option
@json_option
def discard(
    letters: tuple[int, ...], wanted: Filter, everything: bool, reason: str, who: str, as_json: bool
) -> None:  # fmt: skip
    """Let letters rest for good: those of these IDs, or all open ones that a filter finds.

    Nothing is deleted: `dlq restore` opens them again. A named one that is under way again is called back, unless a
    worker has it already.
    """
    with events_db() as db:
        ids = selected(db, letters, wanted, everything, "open")
        done = dead_letters.discard(db, ids, who=who, reason=reason)
    _report(done, "discarded", as_json)


@click.command("restore", short_help="Open discarded letters again.")
@selection
@click.option("--reason", help="Why; it is kept, and shown to everybody.")
@by_option
@json_option
def restore(
    letters: tuple[int, ...], wanted: Filter, everything: bool, reason: str | None, who: str, as_json: bool
) -> None:  # fmt: skip
    """Open discarded letters again: those of these IDs, or all that a filter finds."""
    with events_db() as db:
        ids = selected(db, letters, wanted, everything, "discarded")
        done = dead_letters.restore(db, ids, who=who, reason=reason)
    _report(done, "open", as_json)


def _report(done: Changes, after: State, as_json: bool) -> None:
    """What was changed; a named letter that is now in another state than it should be is a failure."""
    if as_json:
        print_json({"changed": list(done.changed), "unchanged": as_list(done.unchanged)})
    else:
        tell_unchanged(done.unchanged)
        click.echo(f"{len(done.changed):,} {'letter is' if len(done.changed) == 1 else 'letters are'} {after} now")
    if any(state != after for state in done.unchanged.values()):
        sys.exit(1)
