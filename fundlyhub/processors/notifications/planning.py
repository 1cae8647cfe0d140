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


class Plan(NamedTuple):
    """One message of one event to one person through one channel."""

    notice: Notice
    channel: ChannelName
    delivery: Delivery

    @property
    def event_id(self) -> UUID:
        """Whose message it is."""
        return self.delivery.event.id

    @property
    def key(self) -> Key:
        """What it is about, in the ledger."""
        return key_of(self.notice, self.channel, self.delivery)


class Step(NamedTuple):
    """What came of some plans: letters, and events that have none, with the reason."""

    letters: list[Letter]
    failed: list[tuple[UUID, Exception]]


def carry_out(engine: Engine, plans: Sequence[Plan], settings: Settings, now: datetime) -> Step:
    """In one transaction. If that fails, in one for each plan: the event that is to blame holds up no other.

    Raises outages.
    """
    try:
        with engine.begin() as db:
            return _Transaction(db, settings).plan(plans, now)
    except NamelessRows as older:
        name(engine, older.places)
        return carry_out(engine, plans, settings, now)
    except Exception as error:
        if is_outage(error):
            raise
        if len(plans) == 1:
            return Step([], [(plans[0].event_id, error)])
    steps = [carry_out(engine, [one], settings, now) for one in plans]
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
        is_anothers = tellers[plan.key] and plan.event_id not in tellers[plan.key]
        if not is_anothers and plan.key not in planned:
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
        known = ledger.read_all(self._db, {one.key for one in plans})
        told = [(one, story) for one in _due(plans, known) if (story := self._story(one)) is not None]
        contacts = people.read(self._db, {story.to.user_id for _, story in told if story.to and story.to.user_id})
        for one, story in told:
            self._address(one, story, contacts)
        return Step(write_down(self._db, self._drafts, known, self._settings.secret, now), self._failed)

    def _story(self, plan: Plan) -> Story | None:
        try:
            return tell(plan.notice.template, plan.delivery.event, self._lookup)
        except (Missing, Unwanted) as reason:
            self._tell_nobody(plan, reason)
        except Held as held:
            self._failed.append((plan.event_id, Held(f"{plan.notice.template}: {held}")))
        return None

    def _address(self, plan: Plan, story: Story, contacts: dict[UUID, Person]) -> None:
        assert story.to is not None  # all others are broadcasts
        try:
            person = story.to.met(contacts.get(story.to.user_id) if story.to.user_id else None)
        except Missing as missing:
            self._tell_nobody(plan, missing)
        else:
            self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, [person], story.facts))

    def _tell_nobody(self, plan: Plan, reason: Missing | Unwanted) -> None:
        """Written down with the reason; but what is missing is waited for first."""
        waited = plan.delivery.waited.total_seconds()
        if isinstance(reason, Missing) and waited < self._settings.notification_patience:
            seconds = min(60.0, max(2.0, waited))
            self._failed.append((plan.event_id, Snooze(f"{plan.notice.template}: {reason}", seconds=seconds)))
        else:
            self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, skip=str(reason)))
