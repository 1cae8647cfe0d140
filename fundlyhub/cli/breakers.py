"""`fundlyhub breakers`: show the circuit breakers of outside services; open and close them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import redis

from fundlyhub.channels.breaker import SERVICES, Breaker
from fundlyhub.channels.breaker.redis_storage import RedisStorage
from fundlyhub.cli.options import by_option, reason_option
from fundlyhub.cli.output import Answer, Table, answers, say
from fundlyhub.monitoring.servers import redis_failed
from fundlyhub.settings import get_settings

service = click.argument("name", type=click.Choice(SERVICES))


@click.group("breakers", invoke_without_command=True)
@click.pass_context
@answers
def command(ctx: click.Context) -> Answer | None:
    """Without a command: show all circuit breakers. An open breaker blocks the calls to its service."""
    if ctx.invoked_subcommand is not None:
        return None
    with _redis() as url:
        found = [_look(name, url) for name in SERVICES]
    columns = ("service", "state", "since", "rest left", "failures/calls", "last reason")
    rows = [(one["service"], one["state"], one["since"], _rest(one), _counts(one), _reason(one)) for one in found]
    return Answer(found, Table("Circuit breakers", columns, rows))


@command.command("open")
@service
@reason_option
@by_option
def open_(name: str, reason: str, who: str) -> None:
    """Open a breaker: block the calls to its service until you close it. Messages wait."""
    with _redis() as url:
        _breaker(name, url).open_by_hand(reason, who)
    say(f"{name} is not called any more until `fundlyhub breakers close {name} --reason TEXT`.")


@command.command("close")
@service
@reason_option
@by_option
def close(name: str, reason: str, who: str) -> None:
    """Close a breaker: allow the calls to its service again, few at first."""
    with _redis() as url:
        done = _breaker(name, url).close_by_hand(reason, who)
    say(f"{name} is called again, little by little." if done else f"{name}: the breaker is closed already.")


@command.command("history")
@service
@answers
def history(name: str) -> Answer:
    """Show the last changes of a breaker's state, the newest first."""
    with _redis() as url:
        changes = _breaker(name, url).history()
    columns = ("at", "from", "to", "who", "account", "reason")
    rows = [[one.get(column) for column in columns] for one in changes]
    return Answer(changes, Table(f"The breaker of {name}", columns, rows, optional=("account",)))


def _breaker(name: str, url: str) -> Breaker:
    """A breaker whose state is Redis's, or none at all: what is changed here must reach the workers."""
    return Breaker(name, RedisStorage(name, url))


def _look(name: str, url: str) -> dict[str, Any]:
    (state, probing), counts = _breaker(name, url).look()
    left = 0.0 if state.by_hand else max(0.0, state.until - time.time())
    since = None if state.since is None else datetime.fromtimestamp(state.since, UTC).isoformat(timespec="seconds")
    return {
        "service": name,
        "state": state.label,
        "since": since,
        "rest_left_seconds": round(left, 1) if state.name == "open" else None,
        "probing": probing and state.name == "half-open",
        "failures": counts.failures,
        "calls": counts.calls,
        "failures_in_a_row": counts.in_a_row,
        "reason": state.reason or None,
        "who": state.who or None,
    }


def _rest(one: Mapping[str, Any]) -> str:
    if one["state"] == "open by hand":
        return "until closed"
    left = one["rest_left_seconds"]
    return "" if left is None else f"{left:.0f} s"


def _counts(one: Mapping[str, Any]) -> str:
    return f"{one['failures']:,}/{one['calls']:,}"


def _reason(one: Mapping[str, Any]) -> str:
    return f"{one['reason']} ({one['who']})" if one["reason"] else ""


@contextmanager
def _redis() -> Iterator[str]:
    """Redis's URL, and Unavailable in one line when it does not do what it is asked."""
    url = get_settings().redis
    try:
        yield url
    except redis.RedisError as error:
        raise redis_failed(url, error) from None
