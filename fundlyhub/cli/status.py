"""`fundlyhub status`: the whole line in one look."""

from __future__ import annotations

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database import connect
from fundlyhub.database.migrate import require_current
from fundlyhub.relay.status import status


@click.command("status")
@json_option
def command(as_json: bool) -> None:
    """Head of the log, what is not relayed, and per processor applied, waiting, retrying and dead."""
    processors = known_processors()
    require_current("events", "app", "analytics")
    with connect("events", autocommit=True) as db:
        found = status(db, processors)
    if as_json:
        print_json(found)
        return
    relay = found["relay"]
    print_table(
        f"Head of the log: position {found['log']['head']:,}; not relayed: {relay['lag_events']:,} events, "
        f"the oldest for {relay['lag_seconds']:.1f} s",
        ("processor", "applied", "waiting", "retrying", "dead"),
        [(name, *numbers.values()) for name, numbers in found["processors"].items()],
    )
    if found["of_other_releases"]:
        names = ", ".join(one["name"] for one in found["of_other_releases"])
        click.echo(f"Registered by another release, and not part of this one: {names}")
