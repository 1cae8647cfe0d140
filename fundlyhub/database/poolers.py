"""Connections through a pooler such as PgBouncer, which takes no start-up options from its clients.

A pooler refuses the options, or drops them in silence (``ignore_startup_parameters``), or, as PgBouncer does from 1.20
on, keeps only those that the server reports, such as search_path. Without them there is no search_path or no time
limit, so every new connection is asked what it got. Behind a pooler in session mode the
variables are set once for the connection. In transaction mode each transaction may run on another server
connection: each one sets them for itself, and nothing that lives longer than a transaction may be relied on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Timer
from typing import Any, Literal

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Composed

from fundlyhub.database.deadlines import PunctualConnection
from fundlyhub.database.rows import the_value

PATIENCE = 5.0
"""Seconds that the pooler has to hand out a second connection, while its mode is found out."""

_REFUSED = "unsupported startup parameter"
_TAKEN = "SELECT count(*) FROM pg_settings WHERE lower(name) = ANY (%s) AND source = 'client'"
# No fixed rhythm: a pooler that hands out its server connections in turns must not look as if each client had its own.
_TURNS = (0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0)

Mode = Literal["session", "transaction"]
_modes: dict[str, Mode] = {}
"""Of the poolers that this process has met, by DSN."""


def open_connection(
    dsn: str, parameters: Mapping[str, Any], variables: Mapping[str, str], *, autocommit: bool
) -> psycopg.Connection[Any]:
    """A connection on which these server variables hold, whatever stands between. Raises psycopg.Error."""
    if dsn not in _modes:
        direct = _directly(dsn, parameters, variables)
        if direct is not None:
            direct.autocommit = autocommit
            return direct
        _modes[dsn] = _mode(dsn, parameters)
    if _modes[dsn] == "transaction":
        # A prepared statement belongs to one server connection, and the next transaction may be on another.
        shared = SharedConnection.connect(dsn, prepare_threshold=None, cursor_factory=_Cursor, **parameters)
        shared.autocommit, shared.variables = autocommit, _setting(variables, local=True)
        return shared
    own = PunctualConnection.connect(dsn, autocommit=True, **parameters)
    with _closed_on_error(own):
        own.execute(_setting(variables, local=False))
        own.autocommit = autocommit
    return own


def keeps_session(connection: psycopg.Connection[Any]) -> bool:
    """Whether what a session has, such as an advisory lock or LISTEN, outlives a transaction."""
    return not isinstance(connection, SharedConnection)


class SharedConnection(PunctualConnection):
    """A connection to a pooler in transaction mode: the server behind it may change with each transaction.

    A statement in autocommit becomes a transaction of its own, since it needs the variables too.
    """

    variables: Composed | None = None

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[Any]:
        """As psycopg's, with our variables set in the outermost one."""
        outermost = self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if outermost:
                self._set()
            yield transaction

    @contextmanager
    def with_variables(self) -> Iterator[None]:
        """Surround a statement: if it begins a transaction, that has our variables."""
        if self.info.transaction_status != TransactionStatus.IDLE:
            yield
        elif self.autocommit:
            with self.transaction():
                yield
        else:
            self._set()
            yield

    def _set(self) -> None:
        if self.variables is not None:
            psycopg.Cursor(self).execute(self.variables)


class _Cursor(psycopg.Cursor[Any]):
    """The cursor of a shared connection."""

    def execute(self, *args: Any, **options: Any) -> Any:
        """As psycopg's."""
        with _shared(self).with_variables():
            return super().execute(*args, **options)

    def executemany(self, *args: Any, **options: Any) -> None:
        """As psycopg's."""
        with _shared(self).with_variables():
            super().executemany(*args, **options)

    @contextmanager
    def copy(self, *args: Any, **options: Any) -> Iterator[Any]:
        """As psycopg's."""
        with _shared(self).with_variables(), super().copy(*args, **options) as copy:
            yield copy


def _shared(cursor: psycopg.Cursor[Any]) -> SharedConnection:
    connection = cursor.connection
    assert isinstance(connection, SharedConnection)
    return connection


def _directly(dsn: str, parameters: Mapping[str, Any], variables: Mapping[str, str]) -> psycopg.Connection[Any] | None:
    """A connection that got its variables at its start; None behind a pooler that takes none."""
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in variables.items())
    try:
        connection = PunctualConnection.connect(dsn, autocommit=True, options=options, **parameters)
    except psycopg.OperationalError as error:
        if _REFUSED in str(error):
            return None
        raise
    with _closed_on_error(connection):
        if _took(connection, variables):
            return connection
    connection.close()
    return None


@contextmanager
def _closed_on_error(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A server that goes away at the first statement leaves no open connection behind."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _mode(dsn: str, parameters: Mapping[str, Any]) -> Mode:
    """Whether two connections have a server connection each, all the time.

    Raises psycopg.OperationalError when the pooler has none for the second one within ``PATIENCE``.
    """
    given = {"autocommit": True, "prepare_threshold": None, **parameters}
    with psycopg.connect(dsn, **given) as first, psycopg.connect(dsn, **given) as second:
        impatience = Timer(PATIENCE, _hang_up, (second.fileno(),))
        impatience.start()
        try:
            seen = {(turn, _server(first if turn == 0 else second)) for turn in _TURNS}
        finally:
            impatience.cancel()
    servers = {server for _, server in seen}
    return "session" if len(seen) == len(servers) == 2 else "transaction"


def _hang_up(line: int) -> None:
    with socket.socket(fileno=socket.dup(line)) as ours:
        ours.shutdown(socket.SHUT_RDWR)


def _server(connection: psycopg.Connection[Any]) -> int:
    return int(the_value(connection.execute("SELECT pg_backend_pid()")))


def _took(connection: psycopg.Connection[Any], variables: Mapping[str, str]) -> bool:
    """Whether the server got all of these from its client at the start.

    A pooler may set some of them itself, for the statement that comes next, and drop the others.
    """
    listed = [name for name in variables if "." not in name]  # pg_settings lists no variable of an application
    row = connection.execute(_TAKEN, (listed,)).fetchone()
    return row == (len(listed),)


def _setting(variables: Mapping[str, str], *, local: bool) -> Composed:
    calls = [SQL("set_config({}, {}, {})").format(name, value, local) for name, value in variables.items()]
    return SQL("SELECT ") + SQL(", ").join(calls)
