"""The processors of messages: one for each channel, which differ in nothing but that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from fundlyhub.channels.doors import Door, door
from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine, is_outage
from fundlyhub.errors import Snooze
from fundlyhub.processing import Delivery, NotificationProcessor
from fundlyhub.processors.notifications.notices import notices_of, payloads_through
from fundlyhub.processors.notifications.planning import Letter, Planner
from fundlyhub.processors.notifications.sending import Sending, combined
from fundlyhub.settings import SENDING_TIME, get_settings


class _Notifications(NotificationProcessor):
    """Plans the messages of a batch, sends what is due, and says what is left."""

    channel: ClassVar[ChannelName]

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """One chunk of each event at a time: all events' letters of a chunk go out side by side."""
        errors: dict[UUID, list[Exception]] = {one.event.id: [] for one in deliveries}
        planners = [planner for one in deliveries for planner in self._planners(one)]
        end = time.monotonic() + SENDING_TIME
        while planners and time.monotonic() < end:
            letters = [letter for planner in planners for letter in _planned(planner, errors)]
            for letter, error in self._send(letters):
                if error is not None:
                    errors[letter.delivery.event.id].append(error)
            planners = [planner for planner in planners if not planner.finished]
        for planner in planners:
            errors[planner.event_id].append(Snooze("more recipients are to come", seconds=1))
        outcomes = {event_id: combined(left) for event_id, left in errors.items()}
        return {event_id: error for event_id, error in outcomes.items() if error is not None}

    def door(self) -> Door[Any]:
        """The way out."""
        return door(self.channel)

    def _planners(self, delivery: Delivery) -> list[Planner]:
        notices = notices_of(type(delivery.event.payload), self.channel)
        return [Planner(notice, self.channel, delivery, get_settings()) for notice in notices]

    def _send(self, letters: Sequence[Letter]) -> Iterator[tuple[Letter, Exception | None]]:
        """Send letters, and say what is left of each."""
        if letters:
            sending = Sending(self.door(), _pool(self.channel), get_engine("app"), get_settings())
            yield from sending.send(letters)


def _planned(planner: Planner, errors: Mapping[UUID, list[Exception]]) -> list[Letter]:
    """An event's next letters; one that cannot be planned holds up no other."""
    try:
        return planner.plan(datetime.now(UTC))
    except Exception as error:
        if is_outage(error):
            raise
        planner.finished = True
        errors[planner.event_id].append(error)
        return []


@cache
def _pool(channel: ChannelName) -> ThreadPoolExecutor:
    """Threads that live as long as the process: each keeps its client, and the client its connection."""
    return ThreadPoolExecutor(door(channel).limit, thread_name_prefix=channel)


class EmailNotificationProcessor(_Notifications):
    """E-mails to users and guests."""

    channel = "email"
    handles = payloads_through("email")


class PushNotificationProcessor(_Notifications):
    """Push messages to users' devices."""

    channel = "push"
    handles = payloads_through("push")


class SmsNotificationProcessor(_Notifications):
    """Text messages to users' phones."""

    channel = "sms"
    handles = payloads_through("sms")
