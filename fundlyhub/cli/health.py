"""`fundlyhub health`: for probes, whether what a process needs is there."""

from __future__ import annotations

from typing import get_args

import click

from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.wiring import known_processors
from fundlyhub.monitoring.health import MAX_LAG, MAX_WAIT, Role, look
from fundlyhub.monitoring.time_limited import Bounded
from fundlyhub.settings import get_settings


@click.command("health")
@click.option("--role", type=click.Choice(get_args(Role)), help="Check only what this process needs.")
@click.option(
    "--max-lag", type=click.FloatRange(min=0), default=MAX_LAG, show_default=True,
    help="Seconds that an event may wait for the relay.",
)  # fmt: skip
@click.option(
    "--max-wait", type=click.FloatRange(min=0), default=MAX_WAIT, show_default=True,
    help="Seconds that an event may wait for a processor.",
)  # fmt: skip
@answers
def command(role: Role | None, max_lag: float, max_wait: float) -> Answer:
    """Check that databases, broker and Redis answer and that the relay keeps up. The exit status is 1 if a check fails.

    Without a role it also checks that each queue has a worker, that no event waits too long, and that no processor has
    paused itself. It ends a few seconds after FUNDLYHUB_CONNECT_TIMEOUT at the latest, even if a server hangs.
    """
    if role is None:
        known_processors()
    health = look(get_settings(), Bounded(), role, max_lag, max_wait if role is None else None)
    rows = [(one.check, "good" if one.ok else "BAD", one.said) for one in health.findings]
    columns = ("check", "state", "what was seen")
    return Answer(health.document(), Table("Health", columns, rows), good=health.ok)
