"""An outage of the mail provider: the breaker opens, probes, closes, and each mail goes out once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, NamedTuple

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.state import CLOSED, HALF_OPEN, OPEN, Change
from fundlyhub.demo.provider import Provider
from fundlyhub.embedded.stack import Stack
from fundlyhub.errors import Unavailable

MAILS = 100
"""Mails that wait while the provider is down."""
PROBES = 2
"""Probes that fail before it comes back."""
REST = 1.0
"""Seconds that the breaker rests first; 30 in production."""
SERVICE = "sendgrid"


class Report(NamedTuple):
    """The result of an outage: mails, refused requests, and the breaker's changes, the oldest first."""

    mails: int
    refused: int
    seconds_down: float
    changes: list[Change]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        path = [CLOSED, *(change["to"] for change in self.changes)]
        return {
            "mails": self.mails, "refused": self.refused, "seconds_down": round(self.seconds_down, 1), "breaker": path,
        }  # fmt: skip


def possible() -> bool:
    """Whether SendGrid's SDK is installed: without it no worker can call the provider."""
    return find_spec("sendgrid") is not None


class Outage:
    """An outage of the mail provider. ``pause`` waits a moment, and raises when there is no progress any more."""

    def __init__(self, stack: Stack, provider: Provider, pause: Callable[[str], None]) -> None:
        self._stack, self._provider, self._pause = stack, provider, pause
        self._breaker = Breaker(SERVICE, SharedStorage(SERVICE, stack.settings.redis))
        self._since = ""

    def run(self, publish: Callable[[], None]) -> Report:
        """The provider goes down, mails come, the breaker opens and probes; the provider comes back, and it closes."""
        if self._breaker.state != CLOSED:
            raise Unavailable(f"the breaker of {SERVICE} is {self._breaker.state}: close it, or wait until it closes")
        self._since = datetime.now(UTC).isoformat()
        self._stack.restart_workers(
            FUNDLYHUB_EMAIL_BACKEND="sendgrid", FUNDLYHUB_SENDGRID_API_KEY="SG.demo",
            FUNDLYHUB_SENDGRID_BASE_URL=self._provider.url, FUNDLYHUB_BREAKER_REST=str(REST),
        )  # fmt: skip
        began, self._provider.down = time.monotonic(), True
        for _ in range(MAILS):
            publish()
        while self._failed_probes() < PROBES:
            self._pause("the provider is down")
        self._provider.down = False
        down = time.monotonic() - began
        while self._breaker.state != CLOSED:
            self._pause("the provider is back")
        return Report(MAILS, self._provider.refused, down, self._changes())

    def _changes(self) -> list[Change]:
        return [change for change in reversed(self._breaker.history()) if change["at"] >= self._since]

    def _failed_probes(self) -> int:
        return sum(change["from"] == HALF_OPEN and change["to"] == OPEN for change in self._changes())
