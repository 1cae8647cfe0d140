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
from fundlyhub.database.packages import VERSION_TABLE, packages, version_table
from fundlyhub.errors import NewerDatabase, NotMigrated
from fundlyhub.settings import BRANCHES, Branch, Settings, get_settings

State = Literal["current", "behind", "newer", "not installed"]
PRODUCT = "fundlyhub"
"""What stands for the product itself in the place of a package's name."""

_VERSION_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r' AND starts_with(relname, %s) ORDER BY 1
"""


@dataclass(frozen=True)
class BranchState:
    """How a database compares with this version of the code: the product's own tables, or those of a package."""

    branch: Branch
    revision: str | None
    head: str | None
    package: str = PRODUCT

    @property
    def state(self) -> State:
        """``newer`` when the database's revision is one that this code has never heard of.

        ``not installed`` when it has tables of a package that is not there: they stay as they are.
        """
        if self.head is None:
            return "not installed"
        if self.revision == self.head:
            return "current"
        known = revisions(self.branch, self.package)
        return "behind" if self.revision is None or self.revision in known else "newer"


@cache
def revisions(branch: Branch, package: str = PRODUCT) -> tuple[str, ...]:
    """The revisions of a branch, oldest first: ``events_0001`` is that of the file ``0001_log.py``."""
    if package != PRODUCT:
        return packages()[package].revisions(branch)
    folder = files("fundlyhub.database") / "migrations" / branch / "versions"
    numbers = sorted(one.name[:4] for one in folder.iterdir() if one.name.endswith(".py"))
    return tuple(f"{branch}_{number}" for number in numbers)


def check(settings: Settings | None = None) -> list[BranchState]:
    """The state of all three databases, the product's own first, then each package's; nothing is written."""
    settings = settings or get_settings()
    states = [one for branch in BRANCHES for one in branch_states(branch, settings, with_packages=True)]
    return sorted(states, key=lambda one: (one.package != PRODUCT, one.package))


def branch_states(branch: Branch, settings: Settings, *, with_packages: bool) -> list[BranchState]:
    """The state of one database: of the product's own tables, and of those of packages.

    Raises Unavailable when it cannot be reached, or does not let us read it.
    """
    with connect(branch, settings=settings, autocommit=True) as db:
        try:
            return [state(branch, db), *(package_states(branch, db) if with_packages else ())]
        except psycopg.Error as error:
            raise explained(branch, settings, error) from None


def state(branch: Branch, db: psycopg.Connection[Any]) -> BranchState:
    """That of the product's own tables, on a connection."""
    return BranchState(branch, _revision(branch, db, VERSION_TABLE), revisions(branch)[-1])


def package_states(branch: Branch, db: psycopg.Connection[Any]) -> list[BranchState]:
    """That of each package which has tables in a database, or brings some."""
    tables = [name for (name,) in db.execute(_VERSION_TABLES, (branch, version_table(""))).fetchall()]
    there = {name.removeprefix(version_table("")) for name in tables}
    bringing = {name for name, package in packages().items() if package.revisions(branch)}
    return [package_state(branch, db, name) for name in sorted(there | bringing)]


def package_state(branch: Branch, db: psycopg.Connection[Any], package: str) -> BranchState:
    """That of one package."""
    known = packages().get(package)
    newest = (known.revisions(branch) or (None,))[-1] if known else None
    return BranchState(branch, _revision(branch, db, version_table(package)), newest, package)


def _revision(branch: Branch, db: psycopg.Connection[Any], name: str) -> str | None:
    table, found = Identifier(branch, name), None
    if db.execute("SELECT to_regclass(%s)", (table.as_string(),)).fetchone() != (None,):
        found = db.execute(SQL("SELECT version_num FROM {}").format(table)).fetchone()
    return found[0] if found else None


def explained(branch: Branch, settings: Settings, error: DBAPIError | psycopg.Error) -> Exception:
    """An error in words for an operator, if the database is away or refuses us; any other error itself."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if sqlstate(error) == "42501":  # insufficient privilege
        return refused(branch, original)
    return unavailable(branch, settings.dsn(branch), original) if is_outage(error) else error


def require_current(*branches: Branch, settings: Settings | None = None, with_packages: bool = False) -> None:
    """Refuse to work on databases that this code does not fit, or with ``with_packages`` one of the packages'.

    Raises NotMigrated or NewerDatabase with what to do about it, or Unavailable.
    """
    settings = settings or get_settings()
    for branch in branches:
        for found in branch_states(branch, settings, with_packages=with_packages):
            refuse_unfit(found, allow_behind=False)


def refuse_unfit(found: BranchState, *, allow_behind: bool) -> None:
    """Raise NewerDatabase, or NotMigrated unless that is ``allow_behind``."""
    if found.state in ("current", "not installed"):
        return
    what, code = f"the {found.branch} database is at revision {found.revision or 'none'}", "this code"
    if found.package != PRODUCT:
        what, code = f"{what} of {found.package}", f"the {packages()[found.package].distribution} that is installed"
    if found.state == "newer":
        install = PRODUCT if found.package == PRODUCT else packages()[found.package].distribution
        raise NewerDatabase(f"{what}, newer than {code} ({found.head}): install the newer {install}")
    if found.state == "behind" and not allow_behind:
        raise NotMigrated(f"{what}, {code} needs {found.head}: run `fundlyhub migrate`")
