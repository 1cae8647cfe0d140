"""`fundlyhub health`: for probes, whether what a process needs is there."""

from __future__ import annotations

import sys
from typing import get_args

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.monitoring.bounded import Bounded
from fundlyhub.monitoring.health import MAX_LAG, Role, look
from fundlyhub.settings import get_settings


@click.command("health")
@click.option("--role", type=click.Choice(get_args(Role)), help="What this process needs; without it, everything.")
@click.option(
    "--max-lag", type=click.FloatRange(min=0), default=MAX_LAG, show_default=True,
    help="Seconds that the oldest event may wait for the relay.",
)  # fmt: skip
@json_option
def command(role: Role | None, max_lag: float, as_json: bool) -> None:
    """Whether databases, broker and Redis answer and the relay keeps up: exit status 0, or 1 when anything is wrong.

    It ends within FUNDLYHUB_CONNECT_TIMEOUT and a few seconds, whatever hangs.
    """
    health = look(get_settings(), Bounded(), role, max_lag)
    if as_json:
        print_json(health.document())
    else:
        rows = [(one.check, "good" if one.ok else "BAD", one.said) for one in health.findings]
        print_table("Health", ("check", "state", "what was seen"), rows)
    if not health.ok:
        sys.exit(1)
