"""`fundlyhub migrate`: the databases' tables."""

from __future__ import annotations

import sys

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database.migrate import BranchState, check, migrate


@click.command("migrate")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 unless all are current.")
@json_option
def command(only_check: bool, as_json: bool) -> None:
    """Bring the three databases to the newest tables. Safe to repeat, and when two run at once."""
    states = check() if only_check else migrate()
    rows = [(s.branch, s.revision, s.head, s.state if only_check else _done(s)) for s in states]
    if as_json:
        print_json([dict(zip(("database", "revision", "head", "state"), row, strict=True)) for row in rows])
    else:
        print_table("Migrations", ("database", "found at", "newest", "state"), rows)
    if only_check and any(s.state != "current" for s in states):
        sys.exit(1)


def _done(state: BranchState) -> str:
    return "migrated" if state.state == "behind" else state.state
