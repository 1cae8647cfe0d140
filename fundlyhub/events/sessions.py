"""The caller's sessions and connections, of SQLAlchemy and psycopg, synchronous and asynchronous."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import psycopg
from sqlalchemy import Connection, text

from fundlyhub.errors import WrongUse

if TYPE_CHECKING:  # the one needs greenlet, which is an extra; the other is loaded by those who have a session
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

SyncSession: TypeAlias = "Session | Connection | psycopg.Connection[Any]"
"""What ``publish_event`` takes as ``session``."""
AsyncSessions: TypeAlias = "AsyncSession | AsyncConnection | psycopg.AsyncConnection[Any]"
"""What ``publish_event_async`` takes as ``session``."""


class Statement:
    """SQL with psycopg's named parameters, also prepared for SQLAlchemy. Casts are written ``CAST(… AS …)``."""

    def __init__(self, sql: str) -> None:
        self.sql, self.encoded = sql, sql.encode()
        self.text = text(re.sub(r"%\((\w+)\)s", r":\1", sql))


def execute(session: SyncSession, statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    """Execute a statement and return all rows. Raises WrongUse for anything but a session."""
    if isinstance(session, psycopg.Connection):
        cursor = session.cursor(row_factory=psycopg.rows.tuple_row)
        return cursor.execute(statement.encoded, values).fetchall()
    if isinstance(session, Connection) or _is_session(session):
        return _by_sqlalchemy(session, statement, values)
    raise WrongUse(
        "session must be a SQLAlchemy Session or Connection or a psycopg Connection, not "
        f"{_hint(session) or f'{type(session).__name__}; for asynchronous ones there is publish_event_async'}"
    )


async def execute_async(session: AsyncSessions, statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    """The same for asynchronous sessions."""
    if isinstance(session, psycopg.AsyncConnection):
        cursor = session.cursor(row_factory=psycopg.rows.tuple_row)
        return await (await cursor.execute(statement.encoded, values)).fetchall()
    if _is_sqlalchemys(session):
        return await session.run_sync(_by_sqlalchemy, statement, values)
    raise WrongUse(
        "session must be an AsyncSession, an AsyncConnection or a psycopg AsyncConnection, not "
        f"{_hint(session) or f'{type(session).__name__}; for synchronous ones there is publish_event'}"
    )


def _by_sqlalchemy(session: Session | Connection, statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    if not isinstance(session, Connection):
        # The connection that the session uses for this statement, in a transaction.
        session = session.connection(bind_arguments={"clause": statement.text})
    if session.dialect.driver == "psycopg":  # psycopg takes our SQL without compilation
        return session.exec_driver_sql(statement.sql, values).fetchall()
    return session.execute(statement.text, values).fetchall()


_MAKERS = ("scoped_session", "sessionmaker", "async_scoped_session", "async_sessionmaker")


def _hint(session: object) -> str | None:
    """Advice for an object that only makes sessions or connections."""
    name = type(session).__name__
    if name in _MAKERS:
        return f"a {name}: call it, and pass the session that it returns"
    if name in ("Engine", "AsyncEngine"):
        return f"an {name}: pass the connection of your transaction, as in `with engine.begin() as session`"
    if isinstance(session, (psycopg.Cursor, psycopg.AsyncCursor)):
        return "a cursor: pass its connection"
    return None


def _is_session(session: object) -> TypeGuard[Session]:
    """Whether it is a session of SQLAlchemy's ORM, which is then loaded already: nothing is imported here."""
    loaded = sys.modules.get("sqlalchemy.orm")
    return isinstance(session, getattr(loaded, "Session", ()))  # without it, another thread is just loading the module


def _is_sqlalchemys(session: object) -> TypeGuard[AsyncSession | AsyncConnection]:
    """The same for its asynchronous sessions and connections."""
    loaded = sys.modules.get("sqlalchemy.ext.asyncio")
    return loaded is not None and isinstance(session, (loaded.AsyncSession, loaded.AsyncConnection))
