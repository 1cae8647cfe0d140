"""Connections to the broker: opened, used and closed with limits, whatever the broker does.

RabbitMQ in a memory or disk alarm reads nothing more from connections that publish, so it does not answer a close
either; a broker that hangs answers nothing at all. Neither may hold up the end of a process or of a command.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import amqp
import kombu
import redis
from kombu import Connection

from fundlyhub.database import is_outage
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.processing.broker_transports import guard_transports
from fundlyhub.redis_servers import require_one_server
from fundlyhub.server_urls import is_misconfigured, reason, where
from fundlyhub.settings import Settings

AGAIN = 0.2
"""Seconds between two cuts of what a process that is to end has connected again."""
FAREWELL = 3.0
"""Seconds that a broker has to answer a farewell."""

_open: WeakSet[Connection] = WeakSet()
_connecting: set[Future[None]] = set()


def open_line(settings: Settings, *, answer: float | None = None, confirm: bool = False) -> Connection:
    """A connection whose waits for the broker end after ``answer`` seconds, by default BROKER_TIMEOUT.

    ``confirm`` has each publishing wait for the broker's confirmation. Close it with ``give_up``. Raises Unavailable,
    in one line and without a password, when the broker cannot be reached or does not let us in; WrongUse when it never
    will be what we need.
    """
    guard_transports()
    wait = settings.broker_timeout if answer is None else answer
    options: dict[str, Any] = (
        {"read_timeout": wait, "write_timeout": wait, **({"confirm_publish": True} if confirm else {})}
        if settings.broker_is_amqp
        else {"socket_timeout": wait, "socket_connect_timeout": settings.connect_timeout, "socket_keepalive": True}
    )
    connection = Connection(
        settings.broker,
        ssl=settings.broker_tls or False,
        connect_timeout=settings.connect_timeout,
        transport_options=options,
    )
    try:
        _connect(connection, settings)
    except Exception as error:
        raise unreachable(settings, error) from error
    _open.add(connection)
    return connection


def _connect(connection: Connection, settings: Settings) -> None:
    """Connect in a thread, which ``hang_up`` leaves alone: before it is made, a connection has nothing to be cut."""
    made: Future[None] = Future()

    def run() -> None:
        try:
            connection.connect()
            if not settings.broker_is_amqp:
                _require_one_server(connection)
            made.set_result(None)
        except Exception as error:  # InvalidStateError among them: nobody waits any more
            give_up(connection)
            with suppress(InvalidStateError):
                made.set_exception(error)

    _connecting.add(made)
    threading.Thread(target=run, name="connect", daemon=True).start()
    try:
        made.result()
    finally:
        _connecting.discard(made)


def unreachable(settings: Settings, error: BaseException) -> Unavailable | WrongUse:
    """What an operator reads when the broker cannot be reached."""
    if is_misconfigured(error):  # which no waiting mends
        return WrongUse(f"FUNDLYHUB_BROKER_URL: {where(settings.broker)}: {reason(error)}")
    return Unavailable(
        f"cannot reach the broker at {where(settings.broker)}: {reason(error)}; "
        "start it, or correct FUNDLYHUB_BROKER_URL"
    )


def is_passing(error: BaseException) -> bool:
    """Whether a database or the broker is away, or the broker takes no message now: the same call may succeed later."""
    if is_outage(error) or isinstance(error, (kombu.exceptions.KombuError, OSError)):
        return True
    return isinstance(error, (redis.exceptions.RedisError, amqp.exceptions.AMQPError))


def _require_one_server(connection: Connection) -> None:
    """Raise ResponseError for a node of a cluster, which would take some queues and refuse others."""
    require_one_server(connection.default_channel.client)


@contextmanager
def line(settings: Settings, *, answer: float | None = None, confirm: bool = False) -> Iterator[Connection]:
    """The same for as long as it is wanted; Unavailable also when it is lost meanwhile."""
    connection = open_line(settings, answer=answer, confirm=confirm)
    try:
        yield connection
    except connection.recoverable_connection_errors as error:
        raise unreachable(settings, error) from None
    finally:
        give_up(connection)


def give_up(connection: Connection | None) -> None:
    """Close a connection within ``FAREWELL`` seconds; never raises."""
    if connection is None:
        return
    with _hung_up_after(FAREWELL, connection):
        try:
            connection.release()
        except Exception:  # it is broken, most likely: that is why it is given up
            with suppress(Exception):
                connection.collect()
    _open.discard(connection)


def hang_up() -> None:
    """Cut all connections of this process: whatever waits for the broker fails at once. Safe from any thread."""
    for made in list(_connecting):
        with suppress(InvalidStateError):
            made.set_exception(TimeoutError())
    for connection in list(_open):
        _cut(connection)


@contextmanager
def _hung_up_after(seconds: float, connection: Connection) -> Iterator[None]:
    impatience = threading.Timer(seconds, _cut, (connection,))
    impatience.daemon = True
    impatience.start()
    try:
        yield
    finally:
        impatience.cancel()


def _cut(connection: Connection) -> None:
    """Shut the sockets down, not close them: another thread waits at them, and their numbers must not go round."""
    for find in (_amqp, _redis):
        for wire in find(connection):
            with suppress(OSError, ValueError):
                wire.shutdown(socket.SHUT_RDWR)


def _amqp(connection: Connection) -> list[socket.socket]:
    transport = getattr(connection._connection, "_transport", None)
    return [wire] if (wire := getattr(transport, "sock", None)) is not None else []


def _redis(connection: Connection) -> list[socket.socket]:
    channels = getattr(connection._connection, "channels", None)
    pools = [getattr(channel, name, None) for channel in channels or () for name in ("_pool", "_async_pool")]
    used = (one for pool in pools if pool is not None for one in [*pool._in_use_connections])
    return [wire for one in used if (wire := one._sock) is not None]


def hang_up_after(stop: threading.Event, seconds: float, tell: Callable[[], None]) -> None:
    """Cut all connections ``seconds`` after ``stop`` is set: nothing that waits for the broker holds up the stop."""

    def wait() -> None:
        stop.wait()
        time.sleep(seconds)
        tell()
        while True:  # clients connect again by themselves
            with suppress(RuntimeError):  # a thread has opened or closed one just now: it is met the next time
                hang_up()
            time.sleep(AGAIN)

    threading.Thread(target=wait, name="hang-up", daemon=True).start()
