"""Checks that a pooled connection still has a server, when there is reason to doubt it.

SQLAlchemy's own ``pool_pre_ping`` asks each time; of a short transaction that is a quarter of the time.
"""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

IDLE = 1.0
"""Seconds after which a connection is asked: a firewall or a dead host says nothing when it drops one."""

_LEFT = "left at"


def watch(engine: Engine) -> None:
    """Replace connections whose server is gone when they are taken from the pool of this engine."""

    def left(connection: Any, record: Any) -> None:
        record.info[_LEFT] = time.monotonic()

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        since = record.info.get(_LEFT)
        if since is None:  # it is new
            return
        if time.monotonic() - since > IDLE or _has_something_to_say(connection):
            _ask(engine, connection)

    event.listen(engine, "checkin", left)
    event.listen(engine, "checkout", taken)


def _has_something_to_say(connection: Any) -> bool:
    """Whether the server has sent something unasked: as a rule, that it shuts down, or the end of the connection."""
    if connection.closed:
        return True
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    return bool(line.poll(0))


def _ask(engine: Engine, connection: Any) -> None:
    """Raises DisconnectionError, on which the pool makes another connection."""
    dialect = engine.dialect
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError(type(error).__name__) from None
