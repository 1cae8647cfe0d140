"""The processors of messages: one for each channel, which differ in nothing but that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from fundlyhub.channels.doors import Door, door
from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine
from fundlyhub.errors import Snooze
from fundlyhub.forks import process_cache
from fundlyhub.processing import Delivery, NotificationProcessor
from fundlyhub.processors.notifications import delivery_reports
from fundlyhub.processors.notifications.letters import Letter
from fundlyhub.processors.notifications.notices import notices_of, payloads_through
from fundlyhub.processors.notifications.planning import Plan, go_on
from fundlyhub.processors.notifications.sending import Sending, combined
from fundlyhub.settings import SENDING_TIME, get_settings


class _Notifications(NotificationProcessor):
    """Plans the messages of a batch, sends what is due, and says what is left."""

    channel: ClassVar[ChannelName]

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Planned together, and sent side by side; of events with many recipients a chunk at a time."""
        errors: dict[UUID, list[Exception]] = {one.event.id: [] for one in deliveries}
        plans = [plan for one in deliveries for plan in self._plans(one)]
        end = time.monotonic() + SENDING_TIME
        while plans and time.monotonic() < end:
            letters, failed = go_on(get_engine("app"), plans, get_settings(), datetime.now(UTC))
            for event_id, error in [*failed, *self._send(letters)]:
                errors[event_id].append(error)
            plans = [plan for plan in plans if not plan.finished]
        for plan in plans:
            errors[plan.event_id].append(Snooze("more recipients are to come", seconds=1))
        outcomes = {event_id: combined(left) for event_id, left in errors.items()}
        return {event_id: error for event_id, error in outcomes.items() if error is not None}

    def door(self) -> Door[Any]:
        """The way out."""
        return door(self.channel)

    def _plans(self, delivery: Delivery) -> list[Plan]:
        return [
            Plan(notice, self.channel, delivery) for notice in notices_of(type(delivery.event.payload), self.channel)
        ]

    def _send(self, letters: Sequence[Letter]) -> Iterator[tuple[UUID, Exception]]:
        """Send letters; of each that is not settled, its event and why."""
        if letters:
            sending = Sending(self.door(), _pool(self.channel), get_engine("app"), get_settings())
            for letter, error in sending.send(letters):
                if error is not None:
                    yield letter.delivery.event.id, error


@process_cache
def _pool(channel: ChannelName) -> ThreadPoolExecutor:
    """Threads that live as long as the process: each keeps its client, and the client its connection."""
    return ThreadPoolExecutor(door(channel).limit, thread_name_prefix=channel)


class EmailNotificationProcessor(_Notifications):
    """E-mails to users and guests."""

    channel = "email"
    handles = payloads_through("email")

    def afterwards(self) -> None:
        """Take up what a provider told when the webhooks' own process did not."""
        delivery_reports.take_up(get_engine("app"), age=delivery_reports.LATE)

    @classmethod
    def has_more(cls) -> bool:
        """Whether a provider's word waits, and nobody is at it."""
        with get_engine("app").connect() as db:
            return delivery_reports.is_late(db)


class PushNotificationProcessor(_Notifications):
    """Push messages to users' devices."""

    channel = "push"
    handles = payloads_through("push")


class SmsNotificationProcessor(_Notifications):
    """Text messages to users' phones."""

    channel = "sms"
    handles = payloads_through("sms")
