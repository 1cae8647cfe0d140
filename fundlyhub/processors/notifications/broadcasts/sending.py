"""Broadcasts, slice by slice: plan and send messages to the next followers, and leave the rest to the next slice.

The database holds everything that a slice needs: the progress, and the open messages. So any worker can run the next
slice, even after a crash.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze
from fundlyhub.processing import Paused, paused_meanwhile
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import audience, open_messages, progress
from fundlyhub.processors.notifications.broadcasts.progress import NOBODY_YET, Progress
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.matter_backfill import name
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import NamelessRows
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.outgoing import decide, write_down
from fundlyhub.processors.notifications.planning import pending_events
from fundlyhub.processors.notifications.planning.content import Followers, content_of
from fundlyhub.processors.notifications.planning.lookup import Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.planning.too_old import is_too_old
from fundlyhub.processors.notifications.sending import UNKNOWN, Busy, Sending
from fundlyhub.settings import Settings

PAGE = 250
"""Messages of earlier slices that are taken up in one go."""

_Due = list[tuple[str, Row, UUID]]


class Broadcast:
    """What one event tells many people through one channel: ``message`` has no recipient yet."""

    def __init__(self, message: Message, age: timedelta, settings: Settings) -> None:
        assert message.delivery is not None
        self._message, self._delivery, self._age, self._settings = message, message.delivery, age, settings
        self._resumed: UUID | None = UUID(int=0)
        """How far the messages that earlier slices have left are looked at, by id; None when all were."""

    def go_on(self, engine: Engine, sending: Sending, end: float) -> Exception | None:
        """Send messages until ``end``, a time of the monotonic clock; returns the error, if any are left.

        Raises outages of the database.
        """
        try:
            while True:  # however little time there is, each slice gets on
                if paused_meanwhile():
                    return Paused()
                sending.check()
                messages = self._messages(engine)
                if messages is None:
                    return self._left(engine)
                for _, error in sending.send(messages, end):
                    if isinstance(error, Snooze) and not isinstance(error, Busy):
                        return error  # the provider wants no more for now
                if time.monotonic() >= end:
                    return Snooze("more recipients are to come", seconds=1)
        except Snooze as error:
            return error

    def _messages(self, engine: Engine) -> list[Message] | None:
        """The next messages that may be sent; None when there are none."""
        while True:
            try:
                with engine.begin() as db:
                    return self._planned(db, datetime.now(UTC))
            except NamelessRows as older:
                name(engine, older.keys)

    def _planned(self, db: Connection, now: datetime) -> list[Message] | None:
        known = progress.locked(db, self._message.key, self._delivery)
        if known.event_id != self._delivery.event.id:  # the other event sends this broadcast
            return None
        message, followers = self._filled(db, known)
        if self._resumed is not None and (due := self._due(db)):
            return self._once_more(db, due, message, now)
        if known.finished or followers is None:
            return None
        return self._next(db, known.after, message, followers, now)

    def _filled(self, db: Connection, known: Progress) -> tuple[Message, Followers | None]:
        """The message with its facts, and its recipients; or with the reason why it is sent to nobody else.

        Raises Snooze.
        """
        lookup = Lookup(db, self._settings.site_url)
        try:
            if is_too_old(self._message.notice, self._age, self._settings):
                raise Unwanted("too old")
            facts, followers = content_of(self._message.notice.template, self._delivery.event, lookup)
            if known.after == NOBODY_YET and pending_events.is_awaited(self._delivery, lookup.unknown, self._settings):
                raise Missing("what it names is not taken up yet")
            assert isinstance(followers, Followers)  # it is a broadcast
            return replace(self._message, facts=facts), followers
        except (Missing, Unwanted) as reason:
            waited = self._delivery.waited.total_seconds()
            if isinstance(reason, Missing) and waited < self._settings.notification_patience:
                seconds = min(60.0, max(2.0, waited))
                raise Snooze(f"{self._message.notice.template}: {reason}", seconds=seconds) from None
            if not known.finished:
                write_down(db, [self._message.skipped(str(reason))], None, self._settings, datetime.now(UTC))
                progress.move(db, self._message.key, after=known.after, finished=True, told=1)
            return replace(self._message, skip=str(reason)), None

    def _next(
        self, db: Connection, after: UUID, message: Message, followers: Followers, now: datetime
    ) -> list[Message]:
        """Messages to the next followers, written down together with the progress."""
        secret = self._settings.secret
        found = audience.after(db, after, message, followers, secret, now)
        messages = [one for person in found.persons for one in message.to(person, secret)]
        written = write_down(db, messages, None, self._settings, now)
        told = sum(one.address is not None for one in messages)
        key, finished = self._message.key, not found.more
        progress.move(db, key, after=found.last, finished=finished, told=told, skipped=found.skipped)
        return [one for one in written if one.row and one.row.wait <= 0]

    def _due(self, db: Connection) -> _Due:
        """What earlier slices have left and may be sent now; each message once in a slice."""
        assert self._resumed is not None
        delivery = self._delivery
        due = open_messages.due(db, self._message.key, delivery.event.id, delivery.replayed_after, self._resumed, PAGE)
        self._resumed = due[-1][1].id if len(due) == PAGE else None
        return due

    def _once_more(self, db: Connection, due: _Due, message: Message, now: datetime) -> list[Message]:
        """The due messages that are still wanted, decided anew; the others are skipped with the reason."""
        secret = self._settings.secret
        persons = contacts.look(db, {user for *_, user in due})
        found = {(user, one.key): one for user, person in persons.items() for one in message.to(person, secret)}
        messages = []
        for recipient, row, user in due:
            key = message.key.to(recipient)  # the row of an earlier release may have another matter
            gone = replace(message, key=key, person=persons.get(user, Person(user)))
            messages.append(replace(found.get((user, key), gone), row=row))
        decided = decide(db, messages, secret, now)
        in_doubt = {} if message.resend_if_unknown else {row.id for _, row, _ in due if row.state == "sending"}
        skipped = {one.id: why for one in decided if (why := one.skip) and one.id not in in_doubt}
        open_messages.skip(db, skipped)
        return [one for one in decided if one.id not in skipped]

    def _left(self, engine: Engine) -> Exception | None:
        """What the event waits for or fails of: messages that are not settled, and cannot be sent now."""
        with engine.begin() as db:
            left = open_messages.standing(db, self._message.key, self._delivery.event.id)
        template = self._message.notice.template
        if left.open:
            return Snooze(f"{template}: {left.open} messages wait, or are being sent", seconds=max(1.0, left.wait or 0))
        if left.unknown:
            return OutcomeUnknown(f"{template}: {UNKNOWN}, of {left.unknown} messages")
        if left.failed:
            return Permanent(f"{template}: {left.failed} messages were refused by their provider")
        return None
