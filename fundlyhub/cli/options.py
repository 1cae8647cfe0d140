"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from fundlyhub.account import user

ID = click.IntRange(1, 2**63 - 1)
"""A number that identifies a row of a table."""


def _named(ctx: click.Context, parameter: click.Parameter, given: str | None) -> str:
    return given or user()


verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log more, on stderr.")
by_option = click.option(
    "--by",
    "who",
    callback=_named,
    help="Your name, for the history; by default that of your account, which it keeps too.",
)
_why = "The reason; it is stored, and shown to everybody."
reason_option = click.option("--reason", required=True, help=_why)
optional_reason = click.option("--reason", help=_why)


host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")


def port_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --port of a server."""
    port = click.IntRange(0, 65_535)
    return click.option("--port", type=port, default=default, show_default=True, help="Port; 0 chooses a free one.")


def state_option(states: Sequence[str], default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --state of a list: one of these states, or ``all``."""
    state = click.Choice((*states, "all"))
    return click.option("--state", type=state, default=default, show_default=True, help="Only this state.")


def limit_option(default: int, most: int = 100_000) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --limit of a list."""
    return click.option(
        "--limit", type=click.IntRange(1, most), default=default, show_default=True, help="At most this many."
    )


def gathered(
    name: str, make: Callable[..., Any], *options: Callable[[Any], Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that reach the function as one value: as ``name``, which ``make`` makes of the options that it takes."""
    taken = tuple(inspect.signature(make).parameters)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*args: Any, **values: Any) -> Any:
            parts = {one: values.pop(one) for one in taken if one in values}
            return function(*args, **{name: make(**parts)}, **values)

        for option in reversed(options):
            command = option(command)
        return command

    return decorate
