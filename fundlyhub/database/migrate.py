"""Migrations: one Alembic branch per database, each with its version table in our own schema.

Safe when two run at once: the second waits for an advisory lock and then finds nothing to do. A branch
is migrated in one transaction, so it is applied whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.engines import connect, make_engine
from fundlyhub.database.faults import refused
from fundlyhub.database.revisions import BranchState, check, explained, refuse_unfit, state
from fundlyhub.database.roles import OWNER, Reconciled, reconcile
from fundlyhub.settings import BRANCHES, Branch, Settings, get_settings

NO_PASSWORDS: Mapping[str, str] = MappingProxyType({})
_LOCK = 0x66756E646C79  # "fundly": any number that no other lock uses

# Where the schema belongs to the owner's role, what a migration makes belongs to it too.
_AS_OWNER = """
    SELECT set_config('role', %(owner)s, true) FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
    WHERE nspname = %(schema)s AND rolname = %(owner)s AND pg_has_role(r.oid, 'MEMBER')
"""


def migrate(settings: Settings | None = None) -> list[BranchState]:
    """Bring all three databases to the newest revision; return the state that each was found in.

    Raises Unavailable when a server cannot be reached, and NewerDatabase when one is ahead of the code.
    """
    settings = settings or get_settings()
    for found in check(settings):  # all or nothing, as far as three databases allow it
        refuse_unfit(found, allow_behind=True)
    return [_migrate_branch(branch, settings) for branch in BRANCHES]


def make_roles(settings: Settings | None = None, passwords: Mapping[str, str] = NO_PASSWORDS) -> list[Reconciled]:
    """Make the roles and their rights what the declaration says, in all three migrated databases.

    ``passwords`` by the roles' names are set; the server gets a hash of each. Raises Unavailable when a server cannot
    be reached, or does not let us.
    """
    settings = settings or get_settings()
    return [_make_roles(branch, settings, passwords) for branch in BRANCHES]


def _make_roles(branch: Branch, settings: Settings, passwords: Mapping[str, str]) -> Reconciled:
    with connect(branch, settings=settings, autocommit=True) as db:
        try:
            db.execute("SET statement_timeout = 0")
            return reconcile(db, branch, passwords)
        except psycopg.errors.InsufficientPrivilege as error:
            raise refused(branch, error) from None


def _migrate_branch(branch: Branch, settings: Settings) -> BranchState:
    engine = make_engine(branch, settings, pooled=False)
    try:
        with engine.begin() as connection:
            # Waiting for a neighbour's migration, or building an index, is no fault.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql(_AS_OWNER, {"schema": branch, "owner": OWNER})
            driver = connection.connection.driver_connection
            assert driver is not None, "a connection that is in use has one"
            found = state(branch, driver)
            refuse_unfit(found, allow_behind=True)
            if found.state == "behind":
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {branch}")
                command.upgrade(_config(branch, connection), "head")
            return found
    except (DBAPIError, psycopg.Error) as error:
        raise explained(branch, settings, error) from None


def _config(branch: Branch, connection: Connection | None = None) -> Config:
    folder = files("fundlyhub.database") / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder / branch / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, branch=branch)
    return config
