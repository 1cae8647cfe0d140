"""What a package's migration may do: make, change and drop what bears its name, and nothing else.

So two packages, or a package and a later release of this product, cannot want the same table. It is checked in the
migration's own transaction, which is rolled back when it did more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from fundlyhub.database.faults import is_concurrency_fault, is_outage, sqlstate
from fundlyhub.database.packages import Package, version_table
from fundlyhub.database.revisions import package_state
from fundlyhub.errors import BrokenMigration
from fundlyhub.settings import BRANCHES, Branch

# Each object with what would show that it was changed: columns, and the text of constraints, triggers and functions.
# Partitions are not looked at: the relay makes and drops those of the claims meanwhile.
_OBJECTS = """
    SELECT n.nspname || '.' || c.relname,
           md5(concat_ws('/', c.relkind, c.relacl,
               (SELECT string_agg(concat_ws(' ', attname, atttypid, atttypmod, attnotnull, attacl,
                                            (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                                             WHERE adrelid = attrelid AND adnum = attnum)), ',' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
               (SELECT string_agg(conname || pg_get_constraintdef(oid), ',' ORDER BY conname)
                FROM pg_constraint WHERE conrelid = c.oid),
               (SELECT string_agg(tgname || pg_get_triggerdef(oid), ',' ORDER BY tgname)
                FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
               (SELECT string_agg(pg_get_indexdef(indexrelid), ',' ORDER BY indexrelid::regclass::text)
                FROM pg_index WHERE indrelid = c.oid),
               CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT c.relispartition
    UNION ALL
    SELECT n.nspname || '.' || p.proname,
           md5(string_agg(concat_ws('/', pg_get_function_identity_arguments(p.oid), p.prosrc, p.proacl), ','
                          ORDER BY p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY (%(schemas)s) GROUP BY 1
"""


@contextmanager
def only_its_own(db: Connection, branch: Branch, package: Package) -> Iterator[None]:
    """Run a package's migration; raises BrokenMigration when it fails, or does more than it may."""
    where = f"the {branch} migration of {package.name} ({package.distribution})"
    before = _objects(db)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Revision ", category=UserWarning)  # Alembic's: one is there twice
            yield
    except (SQLAlchemyError, psycopg.Error) as error:
        if is_outage(error) or is_concurrency_fault(error):
            raise
        raise BrokenMigration(f"{where} failed, and nothing of it is applied: {_said(error)}") from None
    except (CommandError, UserWarning) as error:
        raise BrokenMigration(f"{where} cannot be run: {error}") from None
    except Exception as error:
        raise BrokenMigration(f"{where} failed, and nothing of it is applied: {type(error).__name__}") from error
    after, driver = _objects(db), db.connection.driver_connection
    changed = {name for name, _ in before ^ after}
    strange = sorted(one for one in changed if not _is_its_own(one, branch, package))
    if strange:
        raise BrokenMigration(
            f"{where} touches {', '.join(strange[:5])}: it may make and change {package.name}_… alone"
        )
    assert driver is not None, "a connection that is in use has one"
    reached = package_state(branch, driver, package.name)
    if reached.state != "current":
        raise BrokenMigration(
            f"{where} ends at revision {reached.revision or 'none'}: the file that is numbered last must have "
            f'revision = "{reached.head}", and each other one\'s follow from the number before it'
        )


def _objects(db: Connection) -> set[tuple[str, str]]:
    return {(name, digest) for name, digest in db.exec_driver_sql(_OBJECTS, {"schemas": list(BRANCHES)})}


def _is_its_own(name: str, branch: Branch, package: Package) -> bool:
    schema, _, rest = name.partition(".")
    return schema == branch and (package.owns(rest) or rest == version_table(package.name))


def _said(error: SQLAlchemyError | psycopg.Error) -> str:
    """The server's own words; a migration's statement may hold values, so nothing of it is quoted."""
    original = getattr(error, "orig", None) or error
    words = getattr(getattr(original, "diag", None), "message_primary", None)
    return f"{words} (SQLSTATE {sqlstate(error)})" if words else type(original).__name__
