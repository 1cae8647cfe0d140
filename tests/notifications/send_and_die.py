"""A run that ends with SIGKILL at one boundary: `python -m tests.notifications.send_and_die WHERE POSITION…`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fundlyhub.channels.doors import Door, door
from fundlyhub.processing import Delivery
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailNotificationProcessor


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Door[Any]):
    """The real door, on whose threshold the process dies."""

    def __init__(self, real: Door[Any], where: str) -> None:
        self.provider, self.limit, self.timeout = real.provider, real.limit, real.timeout
        self._real, self._where = real, where

    def check(self) -> None:
        """Before a message is taken."""
        if self._where == "before the row is taken":
            die()
        self._real.check()

    def send(self, message: Any) -> str | None:
        """The call itself."""
        if self._where == "before the call":
            die()
        answer = self._real.send(message)
        if self._where == "after the call":
            die()
        return answer


class Dying(EmailNotificationProcessor, register=False):
    """The mails, by that door."""

    name = EmailNotificationProcessor.name
    where = ""

    def door(self) -> Door[Any]:
        """The way out."""
        return Deadly(door("email"), self.where)

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Between the last row and the claim."""
        errors = super().deliver(deliveries)
        if self.where == "after the row is settled":
            die()
        return errors


if __name__ == "__main__":
    Dying.where = sys.argv[1]
    execute(Dying, [int(position) for position in sys.argv[2:]])
