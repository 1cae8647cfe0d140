"""The load of a chaos test: events that are published whatever happens, as a careful API service does it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub import DonationCompleted, publish_events
from fundlyhub.errors import Unavailable
from fundlyhub.events import Event
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.events.payload import Payload
from tests.support.make import completed, initiated

CHUNK = 100


class Load:
    """Events with ids made before; each chunk is published until it is there. ``gifts`` is the sum of the money."""

    def __init__(self, payloads: Iterable[Payload]) -> None:
        self.events = [Event.of(payload) for payload in payloads]
        gifts = (event.payload for event in self.events if isinstance(event.payload, DonationCompleted))
        self.gifts = sum((gift.amount for gift in gifts), Decimal(0))
        self.mails = sum(event.type == "user.registered" for event in self.events)
        self.refused = 0
        self._parts = 1
        self._allowed = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._publish_parts, daemon=True)

    def __add__(self, other: Load) -> Load:
        """Both, as they are."""
        both = Load([])
        both.events, both.gifts, both.mails = (
            self.events + other.events,
            self.gifts + other.gifts,
            self.mails + other.mails,
        )
        return both

    def start(self, parts: int) -> None:
        """Publish in the background, in so many parts; each waits for a `go_on`."""
        self._parts = parts
        self._thread.start()

    def go_on(self) -> None:
        """Publish the next part."""
        self._allowed.release()

    def join(self, timeout: float = 120) -> None:
        """Wait until all is published."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the load could not be published"

    def publish(self) -> None:
        """Publish all; a chunk that fails is tried again under the same ids, whatever became of it."""
        self._publish(self.events)

    def _publish_parts(self) -> None:
        for part in range(self._parts):
            self._allowed.acquire()
            self._publish(self.events[part :: self._parts])

    def _publish(self, events: list[Event]) -> None:
        for start in range(0, len(events), CHUNK):
            while not self._published(events[start : start + CHUNK]):
                time.sleep(0.2)  # the pause between tries of a service that has nothing else to do

    def _published(self, events: list[Event]) -> bool:
        try:
            publish_events(events)
        except (DBAPIError, psycopg.Error, Unavailable):
            self.refused += 1
            return False
        return True


def mixed(steady: int = 2_000, gifts: int = 200, people: int = 30) -> Load:
    """Donations that begin, donations that are completed, and people who sign up and are sent a mail."""
    payloads: list[Payload] = [initiated() for _ in range(steady)]
    payloads += [completed(amount=Decimal(n), donor_id=None) for n in range(1, gifts + 1)]  # guests: no receipt
    payloads += [signed_up(n) for n in range(people)]
    random.Random(steady).shuffle(payloads)
    return Load(payloads)


def signed_up(number: int) -> UserRegistered:
    """Somebody new; a welcome is sent."""
    user = UUID(int=50_000 + number)
    return UserRegistered(
        user_id=user, email=f"user{number}@example.org", name=f"U {number}", registration_method="email"
    )
