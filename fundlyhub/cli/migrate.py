"""`fundlyhub migrate`: the databases' tables."""

from __future__ import annotations

import click

from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.database.migrate import BranchState, check, migrate


@click.command("migrate")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 unless all are current.")
@answers
def command(only_check: bool) -> Answer:
    """Migrate the three databases to this version's tables. It is safe to repeat, and to run twice at once."""
    states = check() if only_check else migrate()
    rows = [(s.branch, s.revision, s.head, s.state if only_check else _done(s)) for s in states]
    return Answer(
        [dict(zip(("database", "revision", "head", "state"), row, strict=True)) for row in rows],
        Table("Migrations", ("database", "found at", "newest", "state"), rows),
        good=not only_check or all(s.state == "current" for s in states),
    )


def _done(state: BranchState) -> str:
    return "migrated" if state.state == "behind" else state.state
