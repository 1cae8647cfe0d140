"""`fundlyhub ingest`: take streams into the log, see how far that is, and mind what cannot be an event."""

from __future__ import annotations

import logging

import click

from fundlyhub.cli.ingest.quarantine import quarantine
from fundlyhub.cli.ingest.status import status
from fundlyhub.cli.options import verbose_option
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.database.revisions import require_current
from fundlyhub.events import packages
from fundlyhub.monitoring.process_endpoint import endpoint
from fundlyhub.observability.logs import configure
from fundlyhub.settings import get_settings


@click.group("ingest", invoke_without_command=True)
@verbose_option
@click.pass_context
def command(ctx: click.Context, verbose: bool) -> None:
    """Without a command: read Redis Streams into the log until SIGTERM or Ctrl-C.

    Several ingest processes may run side by side: one of them reads each entry.
    """
    if ctx.invoked_subcommand is None:
        run(verbose)


def run(verbose: bool) -> None:
    """Ingest until stopped."""
    stop = stop_on_signals()
    configure(logging.DEBUG if verbose else logging.INFO)
    settings = get_settings()
    settings.streams  # noqa: B018  # a missing URL is better said at once
    require_current("events")
    packages.load()
    from fundlyhub.streams.ingest import Ingest

    ingest = Ingest(settings, stop)
    with endpoint(settings, "ingest"):
        ingest.run()
    done = ingest.progress
    logging.getLogger("fundlyhub.ingest").info(
        "stopped after %d new events, %d that were there already, %d entries in quarantine, %d taken over, %d trimmed",
        done.new, done.known, done.quarantined, done.taken_over, done.trimmed,
    )  # fmt: skip


command.add_command(status)
command.add_command(quarantine)
