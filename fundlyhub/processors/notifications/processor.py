"""The processors of messages: one per channel for single recipients, and one for broadcasts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from fundlyhub.channels.at_once import AtOnce
from fundlyhub.channels.gateway import Door, door
from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine
from fundlyhub.events.imported import is_imported
from fundlyhub.forks import process_cache
from fundlyhub.processing import BroadcastProcessor, Delivery, NotificationProcessor
from fundlyhub.processors.notifications.broadcasts.rate import Rate
from fundlyhub.processors.notifications.broadcasts.sending import Broadcast
from fundlyhub.processors.notifications.catalogue import notices_of, payloads_through
from fundlyhub.processors.notifications.combining import combined
from fundlyhub.processors.notifications.delivery_reports import inbox
from fundlyhub.processors.notifications.digests.sending import Digesting, are_due
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.planning.plan import plan
from fundlyhub.processors.notifications.planning.too_old import FRESH, at_publication
from fundlyhub.processors.notifications.sending import Sending
from fundlyhub.settings import SENDING_TIME, SLICE_TIME, Settings, get_settings


class _Telling(NotificationProcessor, register=False):
    """Plans the messages of a batch, sends those that are due, and returns the errors."""

    channel: ClassVar[ChannelName]
    slice_time: ClassVar[float] = SLICE_TIME
    """Seconds after which a run begins no further message of a broadcast."""

    @classmethod
    def patterns(cls) -> tuple[str, ...]:
        """The types of its messages, those of other packages too, which are added after this class."""
        wanted = payloads_through(cls.channel, for_many=issubclass(cls, BroadcastProcessor))
        return tuple(dict.fromkeys(payload.event_type for payload in wanted))

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Plan messages to single recipients together and send them side by side; then send a slice of each broadcast.

        The catalogue says which messages an event has. Broadcasts that a worker of the previous release has routed
        here, or that wait or are replayed here since then, are sent here.
        """
        errors: dict[UUID, list[Exception]] = {one.event.id: [] for one in deliveries}
        told = [one for one in deliveries if not is_imported(one.event)]  # history sends nothing
        ages = at_publication(get_engine("events"), told, get_settings(), datetime.now(UTC))
        for event_id, error in self._tell_each(told, ages):
            errors[event_id].append(error)
        end = time.monotonic() + self.slice_time
        for one in told:
            errors[one.event.id] += self._tell_many(one, ages.get(one.event.id, FRESH), end)
        outcomes = {event_id: combined(left) for event_id, left in errors.items()}
        return {event_id: error for event_id, error in outcomes.items() if error is not None}

    def door(self) -> Door[Any]:
        """The gateway of the channel."""
        return door(self.channel)

    def _tell_each(
        self, deliveries: Sequence[Delivery], ages: Mapping[UUID, timedelta]
    ) -> Iterator[tuple[UUID, Exception]]:
        messages = [
            Message.of(notice, self.channel, one)
            for one in deliveries
            for notice in notices_of(type(one.event.payload), self.channel)
            if not notice.for_many
        ]
        if not messages:
            return
        written, failed = plan(get_engine("app"), messages, ages, get_settings(), datetime.now(UTC))
        yield from failed
        if written:  # where nothing is sent no provider needs to be set up
            for message, error in self._sending(for_many=False).send(written, time.monotonic() + SENDING_TIME):
                if error is not None:
                    yield message.event_id, error

    def _tell_many(self, delivery: Delivery, age: timedelta, end: float) -> Iterator[Exception]:
        """Send a slice of each of the event's broadcasts; yields the errors."""
        for notice in notices_of(type(delivery.event.payload), self.channel):
            if notice.for_many:
                broadcast = Broadcast(Message.of(notice, self.channel, delivery), age, get_settings())
                error = broadcast.go_on(get_engine("app"), self._sending(for_many=True), end)
                if error is not None:
                    yield error

    def _sending(self, *, for_many: bool) -> Sending:
        used, rate = self.door(), _rate(self.channel, get_settings()) if for_many else None
        pool = _pool(self.channel, 0 if used.is_file else 2 * used.limit)
        return Sending(used, pool, get_engine("app"), get_settings(), for_many=for_many, rate=rate)


@process_cache
def _pool(channel: ChannelName, threads: int) -> Executor:
    """Threads that live as long as the process: each keeps its client, and the client its connection."""
    return ThreadPoolExecutor(threads, thread_name_prefix=channel) if threads else AtOnce()


@process_cache
def _rate(channel: ChannelName, settings: Settings) -> Rate:
    """The rate of broadcasts in this process."""
    return Rate(settings.broadcasts_rate)


class _Digesting(_Telling, register=False):
    """Also sends digests of the messages that the hourly limit has held back."""

    afterwards_pause = 1.0

    def afterwards(self) -> None:
        """Send the digests that are due."""
        digesting = Digesting(self.channel, get_engine("app"), self._sending(for_many=True), get_settings())
        digesting.send(time.monotonic() + self.slice_time)

    @classmethod
    def has_more(cls) -> bool:
        """Whether a digest is due."""
        with get_engine("app").connect() as db:
            return are_due(db, cls.channel)


class EmailNotificationProcessor(_Digesting):
    """E-mails to users and guests."""

    channel = "email"
    handles = payloads_through("email", for_many=False)

    def afterwards(self) -> None:
        """Apply delivery reports that the webhooks' own process has left, and send digests."""
        inbox.take_up(get_engine("app"), age=inbox.LATE)
        super().afterwards()

    @classmethod
    def has_more(cls) -> bool:
        """Whether a delivery report is late, or a digest is due."""
        with get_engine("app").connect() as db:
            return inbox.is_late(db) or are_due(db, cls.channel)


class PushNotificationProcessor(_Digesting):
    """Push messages to users' devices."""

    channel = "push"
    handles = payloads_through("push", for_many=False)


class SmsNotificationProcessor(_Telling):
    """Text messages to users' phones."""

    channel = "sms"
    handles = payloads_through("sms", for_many=False)


class EmailBroadcastProcessor(_Telling, BroadcastProcessor):
    """E-mails to all followers of a campaign."""

    channel = "email"
    handles = payloads_through("email", for_many=True)
    takes_over = EmailNotificationProcessor.name


class PushBroadcastProcessor(_Telling, BroadcastProcessor):
    """Push messages to all followers of a campaign."""

    channel = "push"
    handles = payloads_through("push", for_many=True)
    takes_over = PushNotificationProcessor.name
