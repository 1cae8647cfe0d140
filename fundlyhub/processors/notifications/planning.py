"""From events to the messages that they mean: a batch in one transaction, and event by event if that fails.

A transaction locks contacts in one statement and in the order of their ids, before it writes anything: two workers
whose batches overlap wait for each other, but never in a ring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import is_outage
from fundlyhub.errors import Held, Snooze
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications import ledger, people
from fundlyhub.processors.notifications.ledger import Key, NamelessRows, Place, Row
from fundlyhub.processors.notifications.letters import Draft, Letter, key_of, write_down
from fundlyhub.processors.notifications.lookup import Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.nameless import name
from fundlyhub.processors.notifications.notices import Notice
from fundlyhub.processors.notifications.people import Person
from fundlyhub.processors.notifications.stories import Story, tell
from fundlyhub.settings import Settings

CHUNK = 500
"""Recipients of one event that are planned in one transaction."""

_FIRST = UUID(int=0)
_FOLLOWERS = """
    SELECT follower_id FROM follows
    WHERE kind = 'campaign' AND followed_id = %(campaign)s AND follows AND follower_id > %(after)s
      AND (NOT %(donors_only)s OR EXISTS (SELECT FROM gift_donors WHERE gift_donors.campaign_id = %(campaign)s
                                                                   AND gift_donors.donor_id = follows.follower_id))
    ORDER BY follower_id LIMIT %(limit)s
"""


class Plan:
    """How far one message of one event is planned through one channel; ``finished`` when nobody is left."""

    def __init__(self, notice: Notice, channel: ChannelName, delivery: Delivery) -> None:
        self.notice, self.channel, self.delivery = notice, channel, delivery
        self.finished = False
        self.key = key_of(notice, channel, delivery)
        self._open_after: UUID | None = _FIRST
        """How far the messages of earlier runs were looked at; None when they all were."""

    @property
    def event_id(self) -> UUID:
        """Whose messages these are."""
        return self.delivery.event.id

    @property
    def is_for_many(self) -> bool:
        """Whether all of a campaign's followers are told, chunk by chunk."""
        return self.notice.recipient == "followers"

    def begin_again(self) -> None:
        """What was planned is rolled back, through no fault of anybody's."""
        self.finished, self._open_after = False, _FIRST

    def followers(self, db: Connection, story: Story) -> list[UUID]:
        """The next chunk of followers: first those whose messages an earlier run has left open, then new ones.

        Nobody, when another event has told of the same matter before this one began.
        """
        if self._open_after is not None:
            users = ledger.open_users(db, self.key, self.event_id, self._open_after, CHUNK)
            self._open_after = users[-1] if len(users) == CHUNK else None
            if users:
                return users
        if ledger.is_anothers(db, self.key, self.event_id):
            self.finished = True
            return []
        given = {
            "campaign": story.followers_of, "donors_only": story.donors_only, "limit": CHUNK,
            "after": ledger.last_user(db, self.key, self.event_id) or _FIRST,
        }  # fmt: skip
        users = [user for (user,) in db.exec_driver_sql(_FOLLOWERS, given)]
        self.finished = len(users) < CHUNK
        return users


class Step(NamedTuple):
    """What came of going on with some plans: letters, and events that have none, with the reason."""

    letters: list[Letter]
    failed: list[tuple[UUID, Exception]]


def go_on(engine: Engine, plans: Sequence[Plan], settings: Settings, now: datetime) -> Step:
    """One step of each plan: those for many have a transaction each, all others one together. Raises outages."""
    groups = [[one for one in plans if not one.is_for_many], *([one] for one in plans if one.is_for_many)]
    steps = [_step(engine, group, settings, now) for group in groups if group]
    return Step([it for step in steps for it in step.letters], [it for step in steps for it in step.failed])


def _step(engine: Engine, plans: Sequence[Plan], settings: Settings, now: datetime) -> Step:
    """In one transaction. If that fails, in one for each plan: the event that is to blame holds up no other."""
    try:
        with engine.begin() as db:
            return _Transaction(db, settings).plan(plans, now)
    except NamelessRows as older:
        name(engine, older.places)
        for plan in plans:
            plan.begin_again()
        return _step(engine, plans, settings, now)
    except Exception as error:
        if is_outage(error):
            raise
        if len(plans) == 1:
            plans[0].finished = True
            return Step([], [(plans[0].event_id, error)])
    steps = [_step(engine, [one], settings, now) for one in plans]
    return Step([it for step in steps for it in step.letters], [it for step in steps for it in step.failed])


def _due(plans: Sequence[Plan], known: Mapping[Place, Row]) -> Iterator[Plan]:
    """The plans that may tell something now; of several of one matter the first, and the others once it is written.

    A matter that another event tells of is that event's business. One whose messages were all skipped was told nobody.
    """
    tellers: defaultdict[Key, set[UUID]] = defaultdict(set)
    for place, row in known.items():
        if row.state != "skipped":
            tellers[place.key].add(row.event_id)
    planned: set[Key] = set()
    for plan in plans:
        if tellers[plan.key] and plan.event_id not in tellers[plan.key]:
            plan.finished = True
        elif plan.key not in planned:
            planned.add(plan.key)
            yield plan


class _Transaction:
    """One transaction: stories are told, contacts locked, recipients judged, and messages written down."""

    def __init__(self, db: Connection, settings: Settings) -> None:
        self._db, self._settings = db, settings
        self._lookup = Lookup(db, settings.site_url)
        self._drafts: list[Draft] = []
        self._failed: list[tuple[UUID, Exception]] = []

    def plan(self, plans: Sequence[Plan], now: datetime) -> Step:
        """Each statement is for all plans, but for what the stories of rare messages ask."""
        self._lookup.foresee([one.delivery for one in plans])
        known = None if plans[0].is_for_many else ledger.read_all(self._db, {one.key for one in plans})
        due = plans if known is None else list(_due(plans, known))
        told = [(one, story, self._users(one, story)) for one in due if (story := self._story(one)) is not None]
        contacts = people.read(self._db, {user for _, _, users in told for user in users})
        for one, story, users in told:
            self._address(one, story, users, contacts)
        return Step(write_down(self._db, self._drafts, known, self._settings.secret, now), self._failed)

    def _story(self, plan: Plan) -> Story | None:
        try:
            return tell(plan.notice.template, plan.delivery.event, self._lookup)
        except (Missing, Unwanted) as reason:
            self._tell_nobody(plan, reason)
        except Held as held:
            plan.finished = True
            self._failed.append((plan.event_id, Held(f"{plan.notice.template}: {held}")))
        return None

    def _users(self, plan: Plan, story: Story) -> Sequence[UUID]:
        if story.to is None:
            return plan.followers(self._db, story)
        return [story.to.user_id] if story.to.user_id else []

    def _address(self, plan: Plan, story: Story, users: Sequence[UUID], contacts: dict[UUID, Person]) -> None:
        if story.to is None:
            persons = [contacts.get(user, Person(user)) for user in users]
        else:
            plan.finished = True
            try:
                persons = [story.to.met(contacts.get(story.to.user_id) if story.to.user_id else None)]
            except Missing as missing:
                return self._tell_nobody(plan, missing)
        self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, persons, story.facts))
        return None

    def _tell_nobody(self, plan: Plan, reason: Missing | Unwanted) -> None:
        """Written down with the reason; but what is missing is waited for first."""
        plan.finished = True
        waited = plan.delivery.waited.total_seconds()
        if isinstance(reason, Missing) and waited < self._settings.notification_patience:
            seconds = min(60.0, max(2.0, waited))
            self._failed.append((plan.event_id, Snooze(f"{plan.notice.template}: {reason}", seconds=seconds)))
        else:
            self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, skip=str(reason)))
