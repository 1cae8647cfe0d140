"""`fundlyhub breakers`: show the circuit breakers of outside services; open and close them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from fundlyhub.channels.breaker import SERVICES, shared
from fundlyhub.channels.breaker.shared import as_document, look, shared_breaker
from fundlyhub.cli.options import by_option, reason_option
from fundlyhub.cli.output import Answer, Table, answers, say
from fundlyhub.monitoring.servers import asking_redis
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
        found = [as_document(look(name, url)) for name in SERVICES]
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
        shared_breaker(name, url).open_by_hand(reason, who)
    say(f"{name} is not called any more until `fundlyhub breakers close {name} --reason TEXT`.")


@command.command("close")
@service
@reason_option
@by_option
def close(name: str, reason: str, who: str) -> None:
    """Close a breaker: allow the calls to its service again, few at first."""
    with _redis() as url:
        done = shared_breaker(name, url).close_by_hand(reason, who)
    say(f"{name} is called again, little by little." if done else f"{name}: the breaker is closed already.")


@command.command("history")
@service
@answers
def history(name: str) -> Answer:
    """Show the last changes of a breaker's state, the newest first."""
    with _redis() as url:
        changes = shared.history(name, url)
    columns = ("at", "from", "to", "who", "account", "reason")
    rows = [[one.get(column) for column in columns] for one in changes]
    return Answer(changes, Table(f"The breaker of {name}", columns, rows, optional=("account",)))


def _rest(one: Mapping[str, Any]) -> str:
    if one["state"] == "open by hand":
        return "until closed"
    left = one["rest_left_seconds"]
    return "" if left is None else f"{left:.0f} s"


def _counts(one: Mapping[str, Any]) -> str:
    return f"{one['failures']:,}/{one['calls']:,}"


def _reason(one: Mapping[str, Any]) -> str:
    return f"{one['reason']} ({one['who']})" if one["reason"] else ""


def _redis() -> AbstractContextManager[str]:
    return asking_redis(get_settings().redis)
