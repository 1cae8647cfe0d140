"""`fundlyhub audit`: who was shown payloads, or exported them."""

from __future__ import annotations

from dataclasses import asdict

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import limit_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times
from fundlyhub.database.disclosed import disclosures, note


@click.command("audit")
@limit_option(50)
@answers
def command(limit: int) -> Answer:
    """List who was shown payloads or wrote them to files, and with which command; the newest first.

    What was decided about dead letters, entries in quarantine, pauses and others is in their own histories.
    """
    with transaction("events") as db:
        found = disclosures(db, limit=limit)
    columns = ("at", "who", "account", "role", "command", "what")
    rows = [tuple(asdict(one).values()) for one in found]
    table = Table("Payloads that were shown", columns, rows, optional=("role", "account"))
    return Answer([iso_times(asdict(one)) for one in found], table)


def disclose(who: str, what: str) -> None:
    """Record that the running command is about to show payloads; without the record it does not."""
    with transaction("events") as db:
        note(db, who=who, command=click.get_current_context().command_path, what=what)
