"""Which revision of the tables a database has, and whether this code fits it. It loads nothing of Alembic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.engines import connect
from fundlyhub.database.faults import is_outage, refused, sqlstate, unavailable
from fundlyhub.errors import NewerDatabase, NotMigrated
from fundlyhub.settings import BRANCHES, Branch, Settings, get_settings

State = Literal["current", "behind", "newer"]


@dataclass(frozen=True)
class BranchState:
    """How a database compares with this version of the code."""

    branch: Branch
    revision: str | None
    head: str

    @property
    def state(self) -> State:
        """``newer`` when the database's revision is one that this code has never heard of."""
        if self.revision == self.head:
            return "current"
        return "behind" if self.revision is None or self.revision in revisions(self.branch) else "newer"


@cache
def revisions(branch: Branch) -> tuple[str, ...]:
    """The revisions of a branch, oldest first: ``events_0001`` is that of the file ``0001_log.py``."""
    folder = files("fundlyhub.database") / "migrations" / branch / "versions"
    numbers = sorted(one.name[:4] for one in folder.iterdir() if one.name.endswith(".py"))
    return tuple(f"{branch}_{number}" for number in numbers)


def check(settings: Settings | None = None) -> list[BranchState]:
    """The state of all three databases; nothing is written."""
    settings = settings or get_settings()
    return [branch_state(branch, settings) for branch in BRANCHES]


def branch_state(branch: Branch, settings: Settings) -> BranchState:
    """The state of one database. Raises Unavailable when it cannot be reached, or does not let us read it."""
    with connect(branch, settings=settings, autocommit=True) as db:
        try:
            return state(branch, db)
        except psycopg.Error as error:
            raise explained(branch, settings, error) from None


def state(branch: Branch, db: psycopg.Connection[Any]) -> BranchState:
    """The same on a connection."""
    table, found = Identifier(branch, "alembic_version"), None
    if db.execute("SELECT to_regclass(%s)", (table.as_string(),)).fetchone() != (None,):
        found = db.execute(SQL("SELECT version_num FROM {}").format(table)).fetchone()
    return BranchState(branch, found[0] if found else None, revisions(branch)[-1])


def explained(branch: Branch, settings: Settings, error: DBAPIError | psycopg.Error) -> Exception:
    """An error in words for an operator, if the database is away or refuses us; any other error itself."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if sqlstate(error) == "42501":  # insufficient privilege
        return refused(branch, original)
    return unavailable(branch, settings.dsn(branch), original) if is_outage(error) else error


def require_current(*branches: Branch, settings: Settings | None = None) -> None:
    """Refuse to work on databases that this code does not fit.

    Raises NotMigrated or NewerDatabase with what to do about it, or Unavailable.
    """
    settings = settings or get_settings()
    for branch in branches:
        refuse_unfit(branch_state(branch, settings), allow_behind=False)


def refuse_unfit(found: BranchState, *, allow_behind: bool) -> None:
    """Raise NewerDatabase, or NotMigrated unless that is ``allow_behind``."""
    if found.state == "newer":
        raise NewerDatabase(
            f"the {found.branch} database is at revision {found.revision}, newer than this code "
            f"({found.head}): install the newer fundlyhub"
        )
    if found.state == "behind" and not allow_behind:
        raise NotMigrated(
            f"the {found.branch} database is at revision {found.revision or 'none'}, this code needs "
            f"{found.head}: run `fundlyhub migrate`"
        )
