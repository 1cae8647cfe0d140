"""`fundlyhub dlq discard` and `restore`: let letters rest for good, and take that back."""

from __future__ import annotations

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.dlq.selecting import as_list, selected, selection, tell_unchanged
from fundlyhub.cli.options import by_option, optional_reason, reason_option
from fundlyhub.cli.output import Answer, answers
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Changes, Filter, State


@click.command("discard", short_help="Discard letters, with a reason.")
@selection
@reason_option
@by_option
@answers
def discard(letters: tuple[int, ...], wanted: Filter, everything: bool, reason: str, who: str) -> Answer:
    """Discard letters: those with these IDs, or all open ones that match the filter.

    Nothing is deleted: `dlq restore` opens them again. A letter that is being replayed is withdrawn if you give its
    ID and no worker has it yet.
    """
    with transaction("events") as db:
        ids = selected(db, letters, wanted, everything, "open")
        done = dead_letters.discard(db, ids, who=who, reason=reason)
    return _answer(done, "discarded")


@click.command("restore", short_help="Open discarded letters again.")
@selection
@optional_reason
@by_option
@answers
def restore(letters: tuple[int, ...], wanted: Filter, everything: bool, reason: str | None, who: str) -> Answer:
    """Open discarded letters again: those with these IDs, or all that match the filter."""
    with transaction("events") as db:
        ids = selected(db, letters, wanted, everything, "discarded")
        done = dead_letters.restore(db, ids, who=who, reason=reason)
    return _answer(done, "open")


def _answer(done: Changes, after: State) -> Answer:
    """What was changed; a named letter that is now in another state than it should be is a failure."""
    number = f"{len(done.changed):,} {'letter is' if len(done.changed) == 1 else 'letters are'}"
    document = {"changed": list(done.changed), "unchanged": as_list(done.unchanged)}
    good = all(state == after for state in done.unchanged.values())
    return Answer(document, *tell_unchanged(done.unchanged), f"{number} {after} now", good=good)
