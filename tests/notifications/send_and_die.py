"""A run that ends with SIGKILL at one boundary: `python -m tests.notifications.send_and_die WHERE POSITION…`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import event as engine_event

from fundlyhub.channels.gateway import Door, door
from fundlyhub.database import get_engine
from fundlyhub.processing import Delivery
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailBroadcastProcessor, EmailNotificationProcessor


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Door[Any]):
    """The real door, on whose threshold the process dies."""

    def __init__(self, real: Door[Any], where: str) -> None:
        self.provider, self.limit, self.timeout = real.provider, real.limit, real.timeout
        self._real, self._where, self._sent = real, where, 0

    def check(self) -> None:
        """Before a message is taken."""
        if self._where == "before the row is taken":
            die()
        self._real.check()

    def flush(self) -> None:
        """After the calls."""
        self._real.flush()

    def send(self, message: Any) -> str | None:
        """The call itself."""
        if self._where == "before the call":
            die()
        answer = self._real.send(message)
        self._sent += 1
        if self._where == f"after call {self._sent}":
            die()
        if self._where == "after the call":
            die()
        return answer


@cache
def deadly(where: str) -> Door[Any]:
    """The door of this process."""
    return Deadly(door("email"), where)


class Dying(EmailNotificationProcessor, register=False):
    """The mails, by that door."""

    name = EmailNotificationProcessor.name
    where = ""

    def door(self) -> Door[Any]:
        """The way out, the same each time: it counts."""
        return deadly(self.where)

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Between the last row and the claim."""
        errors = super().deliver(deliveries)
        if self.where == "after the row is settled":
            die()
        return errors


class DyingBroadcast(Dying, EmailBroadcastProcessor, register=False):
    """Those to many."""

    name = EmailBroadcastProcessor.name


def die_before_rows(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
    """When how far it is stands in the transaction, and nothing is committed."""
    if statement.lstrip().startswith("UPDATE broadcasts"):
        die()


if __name__ == "__main__":
    where, positions = sys.argv[1], [int(position) for position in sys.argv[2:]]
    Dying.where = where
    if where == "before the rows are written":
        engine_event.listen(get_engine("app"), "after_cursor_execute", die_before_rows)
    execute(DyingBroadcast if os.environ.get("TO_MANY") else Dying, positions)
