"""How commands say which dead letters they mean: by ids, or by a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial, wraps
from typing import Any, TypeVar, get_args

import click
from sqlalchemy import Connection

from fundlyhub.cli.times import age
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database import dispose_engines, get_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import UNKNOWN, Filter, State

STATES: tuple[State, ...] = get_args(State)
F = TypeVar("F", bound=Callable[..., Any])

_FILTERS = (
    click.option("--processor", help="Those of this processor."),
    click.option("--type", "type_", help="Those of events of this type."),
    click.option("--error", metavar="CLASS", help="Those that failed with this class of error."),
    click.option("--fingerprint", help="Those that look alike: `dlq list --group` shows the fingerprints' beginnings."),
    click.option("--event", metavar="ID", help="Those of this event, by its id or the beginning of it."),
    click.option("--position", type=click.IntRange(1, 2**63 - 1), help="Those of the event at this position."),
    click.option("--aggregate", metavar="[TYPE/]ID", help="Those of events about this thing."),
    click.option("--older", "older_than", type=age, metavar="AGE", help="Last failed longer ago than 15m, 2h, 7d."),
    click.option("--newer", "newer_than", type=age, metavar="AGE", help="Last failed within AGE."),
)


def filters(function: F) -> F:
    """The options of a filter; the function gets them as ``wanted``, a Filter of open letters."""

    @wraps(function)
    def given(
        *args: Any, processor: str | None, type_: str | None, error: str | None, fingerprint: str | None,
        event: str | None, position: int | None, aggregate: str | None, older_than: timedelta | None,
        newer_than: timedelta | None, **rest: Any,
    ) -> Any:  # fmt: skip
        kind, _, thing = (aggregate or "").rpartition("/")
        wanted = Filter(
            processor, type_, error, fingerprint, event, position, kind or None, thing or None, older_than, newer_than
        )
        return function(*args, wanted=wanted, **rest)

    for option in reversed(_FILTERS):
        option(given)
    return given  # type: ignore[return-value]


def in_state(wanted: Filter, state: str) -> Filter:
    """The same filter for letters in this state, or in ``all``."""
    return replace(wanted, state=next((one for one in STATES if one == state), None))


def selection(function: F) -> F:
    """IDs or a filter, or --all: for commands that change what they select."""
    everything = click.option("--all", "everything", is_flag=True, help="All of them, where no filter says which.")
    letters = click.argument("letters", metavar="[ID]...", nargs=-1, type=click.IntRange(1, 2**63 - 1))
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


@contextmanager
def events_db() -> Iterator[Connection]:
    """A transaction on the Events DB, which must be one that this code fits."""
    prepare()
    with get_engine("events").begin() as db:
        yield db


def prepare() -> None:
    """Refuse a database that this code does not fit; leave no connection behind."""
    require_current("events")
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))


def tell_when_unknown(wanted: Filter) -> None:
    """On stderr, that nothing can be found since no processor is called so."""
    known = known_processors()
    if wanted.processor is not None and wanted.processor not in known:
        click.echo(f"no processor is called {wanted.processor}; there are {', '.join(known)}", err=True)


def tell_unchanged(unchanged: Mapping[int, str]) -> None:
    """On stderr, what became of letters that were named and not changed."""
    for letter, state in unchanged.items():
        told = "there is no such letter" if state == UNKNOWN else f"is {state}, and stays so"
        click.echo(f"{letter}: {told}", err=True)


def as_list(unchanged: Mapping[int, str]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [{"id": letter, "state": state} for letter, state in unchanged.items()]
