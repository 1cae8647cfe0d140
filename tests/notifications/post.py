"""A platform whose messages are looked at: events are published for real, and each processor runs for real."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from fundlyhub import Event, Payload, publish_events
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report
from fundlyhub.processors.notifications import (
    EmailBroadcastProcessor,
    EmailNotificationProcessor,
    PushBroadcastProcessor,
    PushNotificationProcessor,
    SmsNotificationProcessor,
)
from fundlyhub.processors.writes import RecipientWriteProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor

WRITES = (ReferenceWriteProcessor, SubscriptionWriteProcessor, RecipientWriteProcessor)
TELLING = (
    EmailNotificationProcessor, PushNotificationProcessor, SmsNotificationProcessor, EmailBroadcastProcessor,
    PushBroadcastProcessor,
)  # fmt: skip

ME, JOHN, MARY = (UUID(int=n) for n in (1, 2, 3))
WELLS = UUID(int=11)


class Entry(NamedTuple):
    """What the ledger says of one message."""

    template: str
    channel: str
    recipient: str
    state: str
    reason: str | None


class Post:
    """Publishes, applies, and reads the ledger. ``tell`` is all three steps for events whose messages go out."""

    def __init__(self) -> None:
        self._times = (datetime.now(UTC) - timedelta(minutes=20) + timedelta(seconds=n) for n in itertools.count())

    def publish(self, *payloads: Payload) -> list[int]:
        """The positions of these payloads' events, a second apart."""
        events = [Event.of(one, timestamp=next(self._times)) for one in payloads]
        return [event.position or 0 for event in publish_events(events)]

    def known(self, *payloads: Payload) -> list[int]:
        """Published, and taken up by what is written; no message goes out."""
        positions = self.publish(*payloads)
        for processor in WRITES:
            self.run(processor, positions)
        return positions

    def tell(self, *payloads: Payload) -> list[int]:
        """Published, taken up, and told."""
        positions = self.known(*payloads)
        for processor in TELLING:
            self.run(processor, positions)
        return positions

    def run(self, processor: type[Processor], positions: Sequence[int], **options: Any) -> Report:
        """One batch, by the executor; only of events that the processor handles."""
        kinds = self.column("SELECT type FROM events.events WHERE position = ANY (%s)", list(positions))
        wanted = [p for p, kind in zip(sorted(positions), kinds, strict=True) if kind in processor.patterns()]
        return execute(processor, wanted, ends_wait=True, **options)

    def people(self, *users: UUID) -> None:
        """Users with all that one can be reached by, awake whatever the time is."""
        self.known(*(registered(user) for user in users))
        for user in users:
            self.sql(
                "UPDATE app.contacts SET phone = %s, quiet_from = %s, quiet_until = %s WHERE user_id = %s",
                f"+1202555{user.int:04d}", *quiet(hours=6), user,
            )  # fmt: skip
            self.sql("INSERT INTO app.devices (user_id, token) VALUES (%s, %s)", user, f"device-of-{user.int}")

    def entries(self, template: str | None = None) -> list[Entry]:
        """The ledger, in a fixed order."""
        rows = self.rows(
            "SELECT template, channel, recipient, state, reason FROM app.notifications"
            " WHERE %s::text IS NULL OR template = %s ORDER BY 1, 2, 3",
            template, template,
        )  # fmt: skip
        return [Entry(*row) for row in rows]

    def states(self, template: str) -> dict[str, str]:
        """How a message with one copy per channel stands: channel to state, or the reason of what was skipped."""
        return {
            one.channel: one.reason or "?" if one.state == "skipped" else one.state for one in self.entries(template)
        }

    def claims(self, processor: type[Processor]) -> list[int]:
        """The positions that a processor is done with."""
        query = "SELECT position FROM app.processed_events WHERE processor = %s ORDER BY 1"
        return self.column(query, processor.name)

    def letters(self) -> list[tuple[Any, ...]]:
        """Dead letters: processor, error class, message."""
        return self.rows("SELECT processor, error_class, error_message FROM events.dead_letters ORDER BY id")

    def sql(self, statement: str, *values: Any) -> None:
        """A statement."""
        with get_engine("app").begin() as db:
            db.exec_driver_sql(statement, values)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """A query's rows."""
        with get_engine("app").begin() as db:
            return [tuple(row) for row in db.exec_driver_sql(query, values)]

    def column(self, query: str, *values: Any) -> list[Any]:
        """A query's first column."""
        return [row[0] for row in self.rows(query, *values)]


def registered(user: UUID, **changed: Any) -> UserRegistered:
    """Somebody signs up."""
    fields: dict[str, Any] = {"email": f"user{user.int}@example.org", "name": f"User {user.int}"}
    return UserRegistered(user_id=user, registration_method="email", **{**fields, **changed})


def quiet(hours: int) -> tuple[Any, Any]:
    """An hour of quiet that begins so many hours from now, UTC."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
    return begin.time(), (begin + timedelta(hours=1)).time()


def at_once(workers: int, run: Callable[[], object]) -> None:
    """Run the same in so many threads that begin together, and wait for all; raises what one of them raises."""
    ready = threading.Barrier(workers)

    def begin() -> None:
        ready.wait(30)
        run()

    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(begin) for _ in range(workers)]:
            future.result(60)
