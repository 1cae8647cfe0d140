"""From an event to the messages that it means: who gets them, what they say, and whether they go out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine
from fundlyhub.errors import Snooze
from fundlyhub.processing import Delivery
from fundlyhub.processors.hashing import address_hash
from fundlyhub.processors.notifications import ledger, people
from fundlyhub.processors.notifications.facts import Facts
from fundlyhub.processors.notifications.ledger import Key, Planned, Row
from fundlyhub.processors.notifications.lookup import Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.notices import Notice
from fundlyhub.processors.notifications.people import Person
from fundlyhub.processors.notifications.stories import Story, tell
from fundlyhub.processors.notifications.verdict import judge
from fundlyhub.settings import Settings

CHUNK = 500
"""Recipients that are planned in one transaction."""
NOBODY = "nobody"
"""The recipient of a message that has none."""

_FIRST = UUID(int=0)
_FOLLOWERS = """
    SELECT follower_id FROM follows
    WHERE kind = 'campaign' AND followed_id = %(campaign)s AND follows AND follower_id > %(after)s
      AND (NOT %(donors_only)s OR EXISTS (SELECT FROM gift_donors WHERE gift_donors.campaign_id = %(campaign)s
                                                                   AND gift_donors.donor_id = follows.follower_id))
    ORDER BY follower_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that may be sent: its row in the ledger, to whom, where, and what it says."""

    notice: Notice
    channel: ChannelName
    delivery: Delivery
    row: Row
    person: Person = field(repr=False)
    address: str = field(repr=False)
    facts: Facts = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Copy:
    """One recipient's address, before it is judged."""

    recipient: str
    person: Person
    address: str | None


class Planner:
    """Plans the messages of one event through one channel, in chunks."""

    def __init__(self, notice: Notice, channel: ChannelName, delivery: Delivery, settings: Settings) -> None:
        self._notice, self._channel, self._delivery = notice, channel, delivery
        self._settings, self._secret = settings, settings.secret
        self._key = Key(delivery.event.id, channel, notice.template)
        self._resumed: UUID | None = _FIRST
        """How far the messages of earlier runs were looked at; None when they all were."""
        self.finished = False

    @property
    def event_id(self) -> UUID:
        """Whose messages these are."""
        return self._delivery.event.id

    def plan(self, now: datetime) -> list[Letter]:
        """Plan the next chunk in a transaction of its own; see ``next``."""
        with get_engine("app").begin() as db:
            return self.next(db, now)

    def next(self, db: Connection, now: datetime) -> list[Letter]:
        """Plan the next chunk in the caller's transaction, and return its letters; sets ``finished`` with the last.

        Raises Snooze while something that may still come is missing.
        """
        try:
            story = tell(self._notice.template, self._delivery.event, Lookup(db, self._settings.site_url))
        except Missing as missing:
            if self._delivery.waited.total_seconds() < self._settings.notification_patience:
                seconds = min(60.0, max(2.0, self._delivery.waited.total_seconds()))
                raise Snooze(f"{self._notice.template}: {missing}", seconds=seconds) from None
            return self._skip(db, str(missing))
        except Unwanted as unwanted:
            return self._skip(db, str(unwanted))
        if story.to is not None:
            self.finished = True
            return self._letters(db, [story.to], story.facts, now)
        persons = self._followers(db, story)
        return self._letters(db, persons, story.facts, now)

    def _skip(self, db: Connection, reason: str) -> list[Letter]:
        self._plan(db, [Planned(NOBODY, None, reason, None)])
        self.finished = True
        return []

    def _plan(self, db: Connection, planned: Sequence[Planned]) -> dict[str, Row]:
        position = self._delivery.event.position
        assert position is not None
        return ledger.plan(db, self._key, position, self._notice.transactional, planned)

    def _followers(self, db: Connection, story: Story) -> list[Person]:
        """The next chunk of followers: first those whose messages an earlier run has left open, then new ones."""
        if self._resumed is not None:
            users = ledger.open_users(db, self._key, self._resumed, CHUNK)
            self._resumed = users[-1] if len(users) == CHUNK else None
            if users:
                return self._persons(db, users)
        given = {
            "campaign": story.followers_of, "donors_only": story.donors_only, "limit": CHUNK,
            "after": ledger.last_user(db, self._key) or _FIRST,
        }  # fmt: skip
        users = [user for (user,) in db.exec_driver_sql(_FOLLOWERS, given)]
        self.finished = len(users) < CHUNK
        return self._persons(db, users)

    def _persons(self, db: Connection, users: Sequence[UUID]) -> list[Person]:
        known = people.read(db, users)
        return [known.get(user, Person(user)) for user in users]

    def _letters(self, db: Connection, persons: Sequence[Person], facts: Facts, now: datetime) -> list[Letter]:
        copies = [copy for person in persons for copy in self._copies(person)]
        addresses = [copy.address for copy in copies if copy.address]
        suppressed = people.suppressed(db, self._channel, addresses, self._secret)
        users = [person.user_id for person in persons if person.user_id]
        limited = users and not self._notice.transactional
        recent = ledger.recent(db, self._channel, users, now - timedelta(hours=1)) if limited else {}
        planned = []
        for copy in copies:
            verdict = judge(
                self._notice, self._channel, copy.person, copy.address, suppressed.get(copy.address or ""),
                recent.get(copy.person.user_id, 0) if copy.person.user_id else 0, now,
            )  # fmt: skip
            planned.append(Planned(copy.recipient, copy.person.user_id, *verdict))
        rows = self._plan(db, planned)
        return [
            Letter(self._notice, self._channel, self._delivery, rows[copy.recipient], copy.person, copy.address, facts)
            for copy in copies
            if copy.address and rows[copy.recipient].state != "skipped"
        ]

    def _copies(self, person: Person) -> Iterator[_Copy]:
        """One for each address; a person without any is written down all the same."""
        for address in person.addresses(self._channel):
            by_address = self._channel == "push" or person.user_id is None
            recipient = address_hash(self._channel, address, self._secret) if by_address else str(person.user_id)
            yield _Copy(recipient, person, address)
        if not person.addresses(self._channel):
            yield _Copy(str(person.user_id) if person.user_id else NOBODY, person, None)
