"""`fundlyhub relay`: run it, look at it, and move it to another cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from fundlyhub.cli import parked
from fundlyhub.cli.databases import log_connection
from fundlyhub.cli.options import verbose_option
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.wiring import known_processors, stop_on_signals
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.monitoring.process_endpoint import endpoint
from fundlyhub.observability import tracing
from fundlyhub.observability.logs import configure
from fundlyhub.processing.claims import last_dropped
from fundlyhub.processing.queues import PARKED_QUEUE
from fundlyhub.relay.background_thread import Companion
from fundlyhub.relay.collecting.parked import parking_queue
from fundlyhub.relay.mirror_config import Mirrored
from fundlyhub.relay.rebase import rebase
from fundlyhub.relay.registration import beginnings
from fundlyhub.relay.status import relay_status
from fundlyhub.retention.horizon import retention_of
from fundlyhub.settings import BRANCHES, get_settings


@click.group("relay", invoke_without_command=True)
@verbose_option
@click.pass_context
def command(ctx: click.Context, verbose: bool) -> None:
    """Without a command: run the relay until SIGTERM or Ctrl-C. Several may run: one leads, the others stand by."""
    if ctx.invoked_subcommand is None:
        run(verbose)


command.add_command(parked.command)


def run(verbose: bool) -> None:
    """Lead, or stand by, until stopped."""
    stop = stop_on_signals()
    configure(logging.DEBUG if verbose else logging.INFO)
    settings = get_settings()
    settings.broker  # noqa: B018  # a missing URL is better said before Celery is loaded
    processors = known_processors()
    Mirrored(settings.mirror)  # a mistake in it is better said before anybody leads
    retention_of(settings, processors)  # the same
    with log_connection("app", "analytics", session=True) as db:
        beginnings(db, processors)  # the same of events that a new processor wants, and that are archived
    from fundlyhub.celery import app
    from fundlyhub.people.due import Eraser
    from fundlyhub.rebuilds.driving import Rebuilder
    from fundlyhub.relay.relay import Relay

    tracing.start("fundlyhub-relay")
    companions: list[Callable[[], Companion]] = [
        partial(Eraser, settings, processors),
        partial(Rebuilder, app, settings, processors),
    ]
    relay = Relay(app, settings, processors, stop, companions)
    with endpoint(settings, "relay"):
        relay.run()
    done = relay.progress
    logging.getLogger("fundlyhub.relay").info(
        "stopped after %d events in %d messages, %d passed over", done.events, done.messages, done.passed_over
    )


@command.command("status")
@answers
def show() -> Answer:
    """Show the leader, the cursor, the lag, what no processor handles, and what is dead or parked."""
    with log_connection() as db:
        found = {**relay_status(db), "messages": _side_queues()}
    return Answer(found, _table(found))


def _table(found: Mapping[str, Any]) -> Table:
    who = found["leader"]
    leads = f"server process {who['server_pid']} since {who['since']}" if who else "nobody leads: is a relay running?"
    return Table(
        "Relay",
        ("", ""),
        [
            ("leader", leads),
            ("epoch", str(found["epoch"])),
            ("last moved", found["moved_at"] or "never"),
            ("head of the log", f"{found['head']:,}"),
            ("not relayed", f"{found['lag_events']:,} events, the oldest for {found['lag_seconds']:.1f} s"),
            ("passed over", ", ".join(f"{p['type']} {p['events']:,}" for p in found["passed_over"]) or "none"),
            *(
                (queue, "the broker is away" if depth is None else f"{depth:,} messages")
                for queue, depth in found["messages"].items()
            ),
        ],
    )


def _side_queues() -> dict[str, int | None]:
    """Messages in the dead queue and the parking queue; None while the broker is away."""
    try:
        with parking_queue(get_settings()) as queue:
            return dict(queue.depth())
    except Unavailable:
        return {PARKED_QUEUE: None}


@command.command("rebase")
@click.option("--floor", type=click.IntRange(min=0), help="Last position that is settled; 0 sends all again.")
@click.option("--same-xids", is_flag=True, help="After pg_upgrade: the transaction ids are the same.")
@answers
def move(floor: int | None, same_xids: bool) -> Answer:
    """Move the cursors to this database cluster, after you migrated the log to it. Stop all relays first."""
    if (floor is None) != same_xids:
        raise WrongUse("give either --floor POSITION or --same-xids")
    with log_connection("app", "analytics") as db:
        again = rebase(db, floor=floor, same_xids=same_xids, settled=last_dropped(BRANCHES))
    return Answer({"handed_over_again": again}, f"Done: {again:,} events will be handed over again. Start the relays.")
