"""`fundlyhub status`: the whole line in one look."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database import connect, dispose_engines
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.monitoring.servers import broker
from fundlyhub.monitoring.status import status
from fundlyhub.processing.queues import seen
from fundlyhub.settings import get_settings


@click.command("status")
@json_option
def command(as_json: bool) -> None:
    """Head of the log, what is not relayed, and per processor applied, waiting, retrying and dead.

    How long the oldest event waits, which processors are paused, and how many workers consume each queue.
    """
    processors = known_processors()
    require_current("events", "app", "analytics")
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))
    with connect("events", autocommit=True) as db:
        found = status(db, processors)
    found["queues"], away = _queues()
    if as_json:
        print_json(found)
        return
    relay = found["relay"]
    print_table(
        f"Head of the log: position {found['log']['head']:,}; not relayed: {relay['lag_events']:,} events, "
        f"the oldest for {relay['lag_seconds']:.1f} s",
        ("processor", "applied", "waiting", "oldest", "retrying", "dead", "state"),
        [
            (name, one["applied"], one["waiting"], span(one["oldest_waiting_seconds"]), one["retrying"], one["dead"],
             "paused" if one["paused"] else "")
            for name, one in found["processors"].items()
        ],
    )  # fmt: skip
    if away:
        click.echo(f"Queues: {away}")
    else:
        rows = [(name, one["messages"], one["consumers"]) for name, one in found["queues"].items()]
        print_table("Queues", ("queue", "messages", "workers"), rows)
    _tell_what_stands_still(found)


def _queues() -> tuple[dict[str, dict[str, int]] | None, str]:
    """Messages and consumers of each queue; or none, and why: the log is there without a broker too."""
    settings = get_settings()
    try:
        with broker(settings) as connection:
            found = seen(connection, settings.broker_is_amqp)
    except (Unavailable, WrongUse) as error:
        return None, str(error)
    return {name: one._asdict() for name, one in found.items()}, ""


def _tell_what_stands_still(found: dict[str, Any]) -> None:
    for name, one in found["processors"].items():
        if pause := one["paused"]:
            click.echo(f"{name} is paused ({pause['kind']}, by {pause['who']}): {pause['reason']}")
    if idle := [name for name, one in (found["queues"] or {}).items() if not one["consumers"]]:
        click.echo(f"No worker consumes {', '.join(idle)}.")
    if found["of_other_releases"]:
        names = ", ".join(one["name"] for one in found["of_other_releases"])
        click.echo(f"Registered by another release, and not part of this one: {names}")


def span(seconds: float | None) -> str:
    """An age that can be read at a glance."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
