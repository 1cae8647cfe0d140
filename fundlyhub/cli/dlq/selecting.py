"""How commands say which dead letters they mean: by ids, or by a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import click
from sqlalchemy import Connection

from fundlyhub.cli.options import ID, gathered
from fundlyhub.cli.output import Aside, say
from fundlyhub.cli.times import age
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import WrongUse
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import UNKNOWN, Filter, State

STATES: tuple[State, ...] = get_args(State)


def _filter(
    processor: str | None, type_: str | None, error: str | None, fingerprint: str | None, event: str | None,
    position: int | None, aggregate: str | None, older_than: timedelta | None, newer_than: timedelta | None,
) -> Filter:  # fmt: skip
    kind, _, thing = (aggregate or "").rpartition("/")
    return Filter(
        processor, type_, error, fingerprint, event, position, kind or None, thing or None, older_than, newer_than
    )


filters = gathered(
    "wanted",
    _filter,
    click.option("--processor", help="Letters of this processor."),
    click.option("--type", "type_", help="Letters of events of this type."),
    click.option("--error", metavar="CLASS", help="Letters with this class of error."),
    click.option("--fingerprint", help="Letters with this fingerprint or its beginning: see `dlq list --group`."),
    click.option("--event", metavar="ID", help="Letters of this event: its id, or the beginning of it."),
    click.option("--position", type=ID, help="Letters of the event at this position."),
    click.option("--aggregate", metavar="[TYPE/]ID", help="Letters of events about this aggregate."),
    click.option(
        "--older", "older_than", type=age, metavar="AGE", help="Letters that last failed longer ago: 15m, 2h or 7d."
    ),
    click.option("--newer", "newer_than", type=age, metavar="AGE", help="Letters that last failed within AGE."),
)
"""The options of a filter; the function gets them as ``wanted``, a Filter of open letters."""


def in_state(wanted: Filter, state: str) -> Filter:
    """The same filter for letters in this state, or in ``all``."""
    return replace(wanted, state=next((one for one in STATES if one == state), None))


def selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """IDs or a filter, or --all: for commands that change what they select."""
    everything = click.option("--all", "everything", is_flag=True, help="All letters, in place of a filter.")
    letters = click.argument("letters", metavar="[ID]...", nargs=-1, type=ID)
    return letters(filters(everything(function)))


def selected(db: Connection, letters: Sequence[int], wanted: Filter, everything: bool, state: State) -> list[int]:
    """The ids that were named, or those in this state that the filter finds.

    Raises WrongUse when it is said twice which, or not at all.
    """
    is_filter = wanted != Filter()
    if sum((bool(letters), is_filter, everything)) != 1:
        raise WrongUse("say which: IDs, or a filter, or --all")
    if letters:
        return list(dict.fromkeys(letters))
    return dead_letters.ids(db, dead_letters.in_full(db, replace(wanted, state=state)))


def tell_when_unknown(wanted: Filter) -> None:
    """On stderr, that nothing can be found since no processor is called so."""
    known = known_processors()
    if wanted.processor is not None and wanted.processor not in known:
        say(f"no processor is called {wanted.processor}; there are {', '.join(known)}", err=True)


def tell_unchanged(unchanged: Mapping[int, str]) -> Iterator[Aside]:
    """What became of letters that were named and not changed."""
    for letter, state in unchanged.items():
        yield Aside(f"{letter}: " + ("there is no such letter" if state == UNKNOWN else f"is {state}, and stays so"))


def as_list(unchanged: Mapping[int, str]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [{"id": letter, "state": state} for letter, state in unchanged.items()]
