"""Migrations: one Alembic branch per database, each with its version table in our own schema.

Safe when two run at once: the second waits for an advisory lock and then finds nothing to do. A branch
is migrated in one transaction, so it is applied whole or not at all. Each package's migrations of a branch are
a transaction of their own, after the product's: a package whose migration fails holds up no other.
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
from fundlyhub.database.package_limits import only_its_own
from fundlyhub.database.packages import VERSION_TABLE, Package, packages, version_table
from fundlyhub.database.revisions import PRODUCT, BranchState, check, explained, package_state, refuse_unfit, state
from fundlyhub.database.roles import OWNER, Reconciled, reconcile
from fundlyhub.errors import BrokenMigration
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

    The product's own tables come first, then those of each package. Raises Unavailable when a server cannot be
    reached, NewerDatabase when one is ahead of the code, and BrokenMigration when those of a package fail, once
    all others are done.
    """
    settings = settings or get_settings()
    states = check(settings)
    for found in states:  # all or nothing, as far as three databases allow it
        refuse_unfit(found, allow_behind=True)
    done = [_migrate_branch(branch, settings) for branch in BRANCHES]
    broken: list[BrokenMigration] = []
    for one in states:
        if one.package == PRODUCT:
            continue
        try:
            done.append(_migrate_branch(one.branch, settings, packages().get(one.package)) if one.head else one)
        except BrokenMigration as error:
            broken.append(error)
    if broken:
        raise BrokenMigration("; ".join(map(str, broken)))
    return done


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


def _migrate_branch(branch: Branch, settings: Settings, package: Package | None = None) -> BranchState:
    engine = make_engine(branch, settings, pooled=False)
    try:
        with engine.begin() as connection:
            # Waiting for a neighbour's migration, or building an index, is no fault.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            connection.exec_driver_sql(_AS_OWNER, {"schema": branch, "owner": OWNER})
            driver = connection.connection.driver_connection
            assert driver is not None, "a connection that is in use has one"
            found = state(branch, driver) if package is None else package_state(branch, driver, package.name)
            refuse_unfit(found, allow_behind=True)
            if found.state == "behind":
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {branch}")
                upgrade(branch, connection, package)
            return found
    except (DBAPIError, psycopg.Error) as error:
        raise explained(branch, settings, error) from None


def upgrade(branch: Branch, connection: Connection, package: Package | None = None) -> None:
    """Run what is missing of the product's migrations, or of a package's, in the connection's transaction."""
    if package is None:
        command.upgrade(_config(branch, connection), "head")
        return
    with only_its_own(connection, branch, package):
        command.upgrade(_config(branch, connection, package), "head")


def _config(branch: Branch, connection: Connection | None = None, package: Package | None = None) -> Config:
    folder = files("fundlyhub.database") / "migrations"
    versions = folder / branch / "versions" if package is None else package.versions(branch)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "os")
    table = VERSION_TABLE if package is None else version_table(package.name)
    config.attributes.update(connection=connection, branch=branch, version_table=table)
    return config
