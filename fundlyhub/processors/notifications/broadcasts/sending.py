"""One message of one event to many, slice by slice: the next followers are planned, told, and the rest is left.

Everything that a slice needs to know stands in the database: how far the followers are looked at, and which messages
are open. So the next slice may be any worker's, whatever became of the one before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.messages import ChannelName
from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import audience, open_messages, progress
from fundlyhub.processors.notifications.broadcasts.open_messages import Due
from fundlyhub.processors.notifications.broadcasts.progress import Progress
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.matter_backfill import name
from fundlyhub.processors.notifications.ledger.store import NamelessRows
from fundlyhub.processors.notifications.outgoing import Draft, Letter, key_of, write_down
from fundlyhub.processors.notifications.planning import pending_events
from fundlyhub.processors.notifications.planning.content import Story, tell
from fundlyhub.processors.notifications.planning.lookup import Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.planning.too_old import is_too_old
from fundlyhub.processors.notifications.sending import UNKNOWN, Busy, Sending
from fundlyhub.settings import Settings

NOBODY_YET = UUID(int=0)
"""How far a broadcast is that has told nobody."""
PAGE = 250
"""Messages of earlier slices that are taken up in one go."""


class Broadcast:
    """What one event tells many people through one channel."""

    def __init__(
        self, notice: Notice, channel: ChannelName, delivery: Delivery, age: timedelta, settings: Settings
    ) -> None:
        self._notice, self._channel, self._delivery, self._settings = notice, channel, delivery, settings
        self._age = age
        self._key = key_of(notice, channel, delivery)
        self._resumed: UUID | None = UUID(int=0)
        """How far what earlier slices have left is looked at, by the ids of messages; None when it all was."""

    def go_on(self, engine: Engine, sending: Sending, end: float) -> Exception | None:
        """Tell people until ``end``, a time of the monotonic clock; None when all are told, else what is left to say.

        Raises outages of the database.
        """
        try:
            while True:  # however little time there is, each slice gets on
                sending.check()
                letters = self._letters(engine)
                if letters is None:
                    return self._left(engine)
                for _, error in sending.send(letters, end):
                    if isinstance(error, Snooze) and not isinstance(error, Busy):
                        return error  # the provider wants no more for now
                if time.monotonic() >= end:
                    return Snooze("more recipients are to come", seconds=1)
        except Snooze as error:
            return error

    def _letters(self, engine: Engine) -> list[Letter] | None:
        """The next messages that may be sent; None when there are none."""
        while True:
            try:
                with engine.begin() as db:
                    return self._planned(db, datetime.now(UTC))
            except NamelessRows as older:
                name(engine, older.places)

    def _planned(self, db: Connection, now: datetime) -> list[Letter] | None:
        known = progress.locked(db, self._key, self._delivery)
        if known.event_id != self._delivery.event.id:  # that one tells everybody
            return None
        story = self._story(db, known)
        if self._resumed is not None and (due := self._due(db)):
            return self._once_more(db, due, story, now)
        if known.finished or isinstance(story, str):
            return None
        return self._next(db, known.after, story, now)

    def _story(self, db: Connection, known: Progress) -> Story | str:
        """What is told; or why nobody is, or nobody else is any more. Raises Snooze."""
        lookup = Lookup(db, self._settings.site_url)
        try:
            if is_too_old(self._notice, self._age, self._settings):
                raise Unwanted("too old")
            story = tell(self._notice.template, self._delivery.event, lookup)
            if known.after == NOBODY_YET and pending_events.is_awaited(self._delivery, lookup.unknown, self._settings):
                raise Missing("what it names is not taken up yet")
            return story
        except (Missing, Unwanted) as reason:
            waited = self._delivery.waited.total_seconds()
            if isinstance(reason, Missing) and waited < self._settings.notification_patience:
                raise Snooze(f"{self._notice.template}: {reason}", seconds=min(60.0, max(2.0, waited))) from None
            if not known.finished:
                draft = Draft(self._notice, self._channel, self._delivery, skip=str(reason))
                write_down(db, [draft], None, self._settings.secret, datetime.now(UTC))
                progress.move(db, self._key, after=known.after, finished=True, told=1)
            return str(reason)

    def _next(self, db: Connection, after: UUID, story: Story, now: datetime) -> list[Letter]:
        """Messages to the next followers, written down together with how far they are looked at."""
        secret = self._settings.secret
        found = audience.after(db, after, story, self._notice, self._channel, secret, now)
        draft = Draft(self._notice, self._channel, self._delivery, found.persons, story.facts)
        letters = write_down(db, [draft], None, secret, now)
        told = sum(len(person.addresses(self._channel)) for person in found.persons)
        progress.move(db, self._key, after=found.last, finished=not found.more, told=told, skipped=found.skipped)
        return [letter for letter in letters if not letter.row.wait or letter.row.wait <= 0]

    def _due(self, db: Connection) -> list[Due]:
        """What earlier slices have left, and may be sent now; each once in a slice."""
        assert self._resumed is not None
        delivery = self._delivery
        due = open_messages.due(db, self._key, delivery.event.id, delivery.replayed_after, self._resumed, PAGE)
        self._resumed = due[-1].row.id if len(due) == PAGE else None
        return due

    def _once_more(self, db: Connection, due: Sequence[Due], story: Story | str, now: datetime) -> list[Letter]:
        """Those of them that are still wanted, as of now; the others are settled with the reason."""
        persons = contacts.look(db, {one.user_id for one in due})
        addresses = audience.places(persons.values(), self._channel, self._settings.secret)
        suppressed = contacts.suppressed(db, self._channel, set(addresses.values()), self._settings.secret)
        letters: list[Letter] = []
        skipped: dict[UUID, str] = {}
        for recipient, row, user in due:
            person, address = persons.get(user, Person(user)), addresses.get((user, recipient))
            why = story if isinstance(story, str) else None
            why = why or audience.reason_against(person, address, self._notice, self._channel, suppressed, now)
            if why is None or (row.state == "sending" and self._in_doubt):
                facts = {} if isinstance(story, str) else story.facts
                letters.append(Letter(self._notice, self._channel, self._delivery, row, person, address or "", facts))
            else:
                skipped[row.id] = why
        open_messages.skip(db, skipped)
        return letters

    @property
    def _in_doubt(self) -> bool:
        """Whether a message that a dead worker was sending is for a person to decide."""
        return self._notice.if_unknown(self._channel) == "dead letter"

    def _left(self, engine: Engine) -> Exception | None:
        """What is left to say of messages that are not settled, and cannot be sent now."""
        with engine.begin() as db:
            left = open_messages.standing(db, self._key, self._delivery.event.id)
        template = self._notice.template
        if left.open:
            return Snooze(f"{template}: {left.open} messages wait, or are being sent", seconds=max(1.0, left.wait or 0))
        if left.unknown:
            return OutcomeUnknown(f"{template}: {UNKNOWN}, of {left.unknown} messages")
        if left.failed:
            return Permanent(f"{template}: {left.failed} messages were refused by their provider")
        return None
