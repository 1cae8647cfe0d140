"""`fundlyhub migrate`: the databases' tables, and the roles that may use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import click

from fundlyhub.cli.output import Answer, Aside, Table, answers
from fundlyhub.database import connect
from fundlyhub.database.migrate import NO_PASSWORDS, make_roles, migrate
from fundlyhub.database.revisions import BranchState, check
from fundlyhub.database.roles import NAMES, Reconciled
from fundlyhub.errors import WrongUse
from fundlyhub.people.facts import write_down


@click.command("migrate")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 unless all are current.")
@click.option("--roles", is_flag=True, help="Make the roles, and give each the rights that it needs and no others.")
@click.option(
    "--passwords", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="With --roles: give each role the password in DIR/ROLE, such as DIR/fundlyhub_relay.",
)  # fmt: skip
@answers
def command(only_check: bool, roles: bool, passwords: Path | None) -> Answer:
    """Migrate the three databases to this version's tables, and to those of installed packages. It is safe to
    repeat, and to run twice at once.

    With --roles also make a database role for each kind of process, or bring their rights up to date after a
    migration. Run that as a superuser, or as a role that may make roles and owns the tables.
    """
    if (only_check and roles) or (passwords and not roles):
        raise WrongUse("--roles cannot be checked, and --passwords wants --roles")
    given = NO_PASSWORDS if passwords is None else _read(passwords)
    states = check() if only_check else migrate()
    made = make_roles(passwords=given) if roles else []
    if roles:
        with connect("events", autocommit=True) as db:
            write_down(db)
    rows = [(s.branch, s.package, s.revision, s.head, s.state if only_check else _done(s)) for s in states]
    migrations = [dict(zip(("database", "package", "revision", "head", "state"), row, strict=True)) for row in rows]
    return Answer(
        {"migrations": migrations, "roles": [asdict(one) for one in made]} if roles else migrations,
        Table("Migrations", ("database", "package", "found at", "newest", "state"), rows),
        *_told(made),
        good=not only_check or all(s.state in ("current", "not installed") for s in states),
    )


def _done(state: BranchState) -> str:
    return "migrated" if state.state == "behind" else state.state


def _told(made: list[Reconciled]) -> Iterator[str | Table]:
    if not made:
        return
    rows = [(one.branch, ", ".join(one.created) or "none", one.granted, one.revoked, one.owned) for one in made]
    yield Table("Roles", ("database", "created", "granted", "revoked", "given to the owner"), rows)
    if not all(one.quiet for one in made):
        yield Aside("only a superuser keeps the roles' statements out of the server's log: see docs/operators.md")


def _read(folder: Path) -> Mapping[str, str]:
    """The passwords by role. Raises WrongUse for a file that holds none, or a folder without any."""
    found = {name: (folder / name).read_text().strip("\r\n") for name in NAMES if (folder / name).exists()}
    if not found or not all(found.values()):
        raise WrongUse(f"--passwords: {folder} must hold files that are named after roles, such as {NAMES[0]}")
    return found
