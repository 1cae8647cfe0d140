"""What a database error means: an outage, a collision with a neighbour, or a fault of the statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.settings import Branch

DATABASE_ERRORS = (DBAPIError, psycopg.Error)
"""What a statement raises, through SQLAlchemy or the driver alone."""
NO_ANSWER = (*DATABASE_ERRORS, PoolTimeout)
"""What a request meets that asks a database, also where no connection becomes free."""

# Classes of SQLSTATE that say: the server, not the statement. 08 connection, 53 out of disk, memory or
# connections, 57P0x shutting down, starting up or gone, 58 the server's own files; 25006 read only.
_OUTAGE = ("08", "53", "57P", "58", "25006", "XX001")
# Serialization failure and deadlock; and a prepared statement that meets a table of another shape, which the rollback
# makes the driver prepare anew.
_CONCURRENCY = ("40001", "40P01", "0A000")
_CHECK = "23514"
# A table, a column, a function, another object, a schema or a right is missing; a prepared statement is gone, or there
# already; the server cannot do it.
_SETUP = ("42P01", "42703", "42883", "42704", "3F000", "42501", "26000", "42P05", "0A000")
SETUP_FAULTS = tuple(psycopg.errors.lookup(state).__name__ for state in _SETUP)
"""The classes of errors that ``is_setup_fault`` means, as the driver names them."""


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of a driver's error, or of the one inside a SQLAlchemy error."""
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return state if isinstance(state, str) else None


def is_outage(error: BaseException) -> bool:
    """Whether the server failed, so that no event is to blame."""
    if isinstance(error, Unavailable):
        return True
    state = sqlstate(error)
    if state is not None:
        return state.startswith(_OUTAGE)
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # A lost connection has no SQLSTATE: libpq noticed it, not the server.
    return isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError)) or isinstance(error, InterfaceError)


def is_concurrency_fault(error: BaseException) -> bool:
    """Whether the same transaction, run again, may simply pass."""
    # A row on its way into the default partition, while a partition for it was attached: that breaks no constraint
    # that has a name.
    return sqlstate(error) in _CONCURRENCY or (sqlstate(error) == _CHECK and violated(error) is None)


def is_setup_fault(error: BaseException) -> bool:
    """Whether the database lacks what the statement needs, whatever its values are: a table, a column, a right.

    So it is after an incomplete migration, a failover or a restoration, behind a pooler that mixes up sessions, and
    where the statement itself has a slip of the pen. One mend serves all events.
    """
    return sqlstate(error) in _SETUP


def violated(error: BaseException) -> str | None:
    """The name of the constraint that a row violated."""
    original = error.orig if isinstance(error, DBAPIError) else error
    name = getattr(getattr(original, "diag", None), "constraint_name", None)
    return name if isinstance(name, str) else None


def unavailable(branch: Branch, dsn: str, error: BaseException | None) -> Unavailable:
    """One line that says which server, where, why and what to do; no password in it."""
    parts = parsed_dsn(branch, dsn)
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    return Unavailable(
        f"cannot reach the {branch} database at {where}: {_reason(error)}; "
        f"start it, or correct FUNDLYHUB_{branch.upper()}_DSN"
    )


def refused(branch: Branch, error: BaseException | None) -> Unavailable:
    """One line for a server that answers, and does not let us do what we must."""
    return Unavailable(f"the {branch} database refused: {_reason(error)}; give our role the rights that it lacks")


def parsed_dsn(branch: Branch, dsn: str) -> Mapping[str, Any]:
    """The parts of a DSN.

    Raises WrongUse when it is malformed: libpq's own text would repeat it, password and all.
    """
    name = f"FUNDLYHUB_{branch.upper()}_DSN"
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise WrongUse(f"{name} is malformed: write postgresql://user:password@host:port/database") from None
    ports = str(parts.get("port") or "").split(",")
    if any(port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536) for port in ports):
        raise WrongUse(f"{name}: its port must be a number from 1 to 65535")
    if "@" in str(parts.get("host", "")):  # the end of the password was taken for the host
        raise WrongUse(f"{name} is malformed: write an @ in the password as %40")
    return parts


def _reason(error: BaseException | None) -> str:
    """The server's own words, or the driver's last line: of several addresses that were tried, the last one's.

    Lines that begin with a tab are libpq's hints.
    """
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = [line for line in str(error or "").splitlines() if line.strip() and not line.startswith("\t")]
    text = primary or (lines[-1] if lines else "no answer")
    return text.rpartition("failed: ")[2].strip(" -")
