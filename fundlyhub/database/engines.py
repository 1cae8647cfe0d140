"""Connections to the three databases: pooled engines, and plain psycopg where a session matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from fundlyhub.account import account
from fundlyhub.database.deadlines import connect_timeout
from fundlyhub.database.faults import parsed_dsn, unavailable
from fundlyhub.database.pinging import watch
from fundlyhub.database.poolers import keeps_session, open_connection
from fundlyhub.database.stamped import VARIABLE
from fundlyhub.errors import WrongUse
from fundlyhub.forks import in_child, leave_to_parent, process_cache
from fundlyhub.settings import BRANCHES, Branch, Settings, get_settings

if TYPE_CHECKING:  # without greenlet, which is an extra, it cannot even be imported
    from sqlalchemy.ext.asyncio import AsyncEngine

WATCH = 2.0
"""Seconds between a server's checks that its client is still connected while a statement runs."""

# A dead host must be noticed within some 10 s, else a relay would lead, or a worker hold locks, for hours.
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def parameters(settings: Settings, branch: Branch) -> dict[str, Any]:
    """What every connection of ours has in common, as libpq parameters."""
    return {
        "connect_timeout": connect_timeout(settings.connect_timeout),
        "application_name": f"fundlyhub-{branch}",
        **KEEPALIVES,
    }


def variables(settings: Settings, branch: Branch) -> dict[str, str]:
    """What every connection of ours has in common, as variables of the server."""
    milliseconds = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.statement_timeout * 5,
        # A worker that was killed in mid-statement holds its locks no longer than this.
        "client_connection_check_interval": WATCH,
    }
    return {
        "search_path": branch,
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        VARIABLE: account(),
        **{name: str(int(seconds * 1000)) for name, seconds in milliseconds.items()},
    }


def connect(
    branch: Branch, *, settings: Settings | None = None, autocommit: bool = False, session: bool = False
) -> psycopg.Connection[Any]:
    """A plain connection of its own; ``session`` asks for one whose locks and LISTEN outlive a transaction.

    Raises Unavailable, in one line and without a password, when the server cannot be reached, and WrongUse when a
    pooler in transaction mode is in the way of ``session``.
    """
    settings = settings or get_settings()
    dsn = settings.dsn(branch)
    try:
        connection = _open(branch, settings, autocommit=autocommit)
    except psycopg.Error as error:
        raise unavailable(branch, dsn, error) from None
    if session and not keeps_session(connection):
        connection.close()
        raise WrongUse(
            f"FUNDLYHUB_{branch.upper()}_DSN leads through a pooler in transaction mode, which loses locks and "
            "notifications: give this process a direct connection, or a pooler in session mode"
        )
    return connection


def _open(branch: Branch, settings: Settings, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    dsn = settings.dsn(branch)
    parsed_dsn(branch, dsn)
    return open_connection(dsn, parameters(settings, branch), variables(settings, branch), autocommit=autocommit)


@process_cache
def get_engine(branch: Branch) -> Engine:
    """Return this process's engine for a database: ``events``, ``app`` or ``analytics``. It connects at its first use.

    ::

        from fundlyhub import get_engine

        with get_engine("analytics").connect() as db:
            db.exec_driver_sql("SELECT campaign_id, total_raised FROM campaign_stats_now").all()
    """
    return make_engine(branch, get_settings())


def make_engine(branch: Branch, settings: Settings, *, pooled: bool = True) -> Engine:
    """An engine whose connections see our schema first and have our time-outs."""

    def creator() -> psycopg.Connection[Any]:
        return _open(branch, settings)

    pool: dict[str, Any] = (
        {"pool_size": 2, "max_overflow": 10, "pool_recycle": 1800} if pooled else {"poolclass": NullPool}
    )
    engine = create_engine("postgresql+psycopg://", creator=creator, hide_parameters=True, **pool)
    if pooled:
        watch(engine)
        renew_after_fork(engine)
    return engine


def renew_after_fork(engine: Engine | AsyncEngine) -> None:
    """Give each process that is forked from this one connections of its own; those of this process stay open.

    For engines that an application makes before its server forks. ``get_engine``'s need no such call.

    ::

        from sqlalchemy import create_engine

        from fundlyhub import renew_after_fork

        own = create_engine("postgresql+psycopg://api@db/platform")
        renew_after_fork(own)
    """
    in_child(engine, _leave_connections)


def _leave_connections(engine: Engine | AsyncEngine) -> None:
    plain = engine if isinstance(engine, Engine) else engine.sync_engine
    leave_to_parent(plain.pool)
    plain.dispose(close=False)


def dispose_engines(*, close: bool = False) -> None:
    """Forget all pooled connections; by default without closing them."""
    for branch in BRANCHES:  # an engine that was not used yet is made and forgotten: it costs nothing
        get_engine(branch).dispose(close=close)
    get_engine.cache_clear()
