"""Migrations: one Alembic branch per database, each with its version table in our own schema.

Safe when two run at once: the second waits for an advisory lock and then finds nothing to do. A branch
is migrated in one transaction, so it is applied whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.engines import make_engine
from fundlyhub.database.faults import is_outage, refused, sqlstate, unavailable
from fundlyhub.errors import NewerDatabase, NotMigrated
from fundlyhub.settings import BRANCHES, Branch, Settings, get_settings

_LOCK = 0x66756E646C79  # "fundly": any number that no other lock uses

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
        known = {script.revision for script in _scripts(self.branch).walk_revisions()}
        return "behind" if self.revision is None or self.revision in known else "newer"


def migrate(settings: Settings | None = None) -> list[BranchState]:
    """Bring all three databases to the newest revision; return the state that each was found in.

    Raises Unavailable when a server cannot be reached, and NewerDatabase when one is ahead of the code.
    """
    settings = settings or get_settings()
    for found in check(settings):  # all or nothing, as far as three databases allow it
        _refuse_unfit(found, allow_behind=True)
    return [_migrate_branch(branch, settings) for branch in BRANCHES]


def check(settings: Settings | None = None) -> list[BranchState]:
    """The state of all three databases; nothing is written."""
    settings = settings or get_settings()
    return [branch_state(branch, settings) for branch in BRANCHES]


def branch_state(branch: Branch, settings: Settings) -> BranchState:
    """The state of one database. Raises Unavailable when it cannot be reached."""
    engine = make_engine(branch, settings, pooled=False)
    try:
        with engine.connect() as connection:
            return _state(branch, connection)
    except DBAPIError as error:
        raise _explained(branch, settings, error) from None


def require_current(*branches: Branch, settings: Settings | None = None) -> None:
    """Refuse to work on databases that this code does not fit.

    Raises NotMigrated or NewerDatabase with what to do about it, or Unavailable.
    """
    settings = settings or get_settings()
    for branch in branches:
        _refuse_unfit(branch_state(branch, settings), allow_behind=False)


def _refuse_unfit(found: BranchState, *, allow_behind: bool) -> None:
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


def _migrate_branch(branch: Branch, settings: Settings) -> BranchState:
    engine = make_engine(branch, settings, pooled=False)
    try:
        with engine.begin() as connection:
            # Waiting for a neighbour's migration, or building an index, is no fault.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            found = _state(branch, connection)
            _refuse_unfit(found, allow_behind=True)
            if found.state == "behind":
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {branch}")
                command.upgrade(_config(branch, connection), "head")
            return found
    except DBAPIError as error:
        raise _explained(branch, settings, error) from None


def _explained(branch: Branch, settings: Settings, error: DBAPIError) -> Exception:
    if sqlstate(error) == "42501":  # insufficient privilege
        return refused(branch, error.orig)
    return unavailable(branch, settings.dsn(branch), error.orig) if is_outage(error) else error


def _state(branch: Branch, connection: Connection) -> BranchState:
    context = MigrationContext.configure(connection, opts={"version_table_schema": branch})
    head = _scripts(branch).get_current_head()
    assert head is not None, f"the {branch} branch has no migration"
    return BranchState(branch, context.get_current_revision(), head)


def _scripts(branch: Branch) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(branch))


def _config(branch: Branch, connection: Connection | None = None) -> Config:
    folder = files("fundlyhub.database") / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder / branch / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, branch=branch)
    return config
