"""From events to the messages that they mean: a batch in one transaction, and event by event if that fails.

A transaction locks contacts in one statement and in the order of their ids, before it writes anything: two workers
whose batches overlap wait for each other, but never in a ring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine, is_outage
from fundlyhub.errors import Held, OutcomeUnknown, Snooze, Untold
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import open_messages
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matter_backfill import name
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import Key, NamelessRows, Place
from fundlyhub.processors.notifications.outgoing import Draft, Letter, key_of, write_down
from fundlyhub.processors.notifications.planning import pending_events
from fundlyhub.processors.notifications.planning.content import Story, tell
from fundlyhub.processors.notifications.planning.lookup import Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.planning.too_old import FRESH, is_too_old
from fundlyhub.processors.notifications.sending import UNKNOWN
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.settings import Settings


class Plan(NamedTuple):
    """One message of one event to one person through one channel."""

    notice: Notice
    channel: ChannelName
    delivery: Delivery
    age: timedelta = FRESH
    """How old its event was when it was published, as far as that matters."""

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

    Of several plans of one matter the first is carried out before the others: they tell somebody only if it told
    nobody. Raises outages.
    """
    first, later = _by_matter(plans)
    if later:
        steps = [carry_out(engine, part, settings, now) for part in (first, later)]
        return Step([it for step in steps for it in step.letters], [it for step in steps for it in step.failed])
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


def _by_matter(plans: Sequence[Plan]) -> tuple[list[Plan], list[Plan]]:
    """The first plan of each matter, and all others."""
    first: dict[Key, Plan] = {}
    later = [plan for plan in plans if first.setdefault(plan.key, plan) is not plan]
    return list(first.values()), later


def _due(plans: Sequence[Plan], known: Mapping[Place, Row]) -> Iterator[Plan]:
    """The plans that may tell something: what another event tells of is that event's business.

    Of a matter whose messages were all skipped nobody was told.
    """
    tellers: defaultdict[Key, set[UUID]] = defaultdict(set)
    for place, row in known.items():
        if row.state != "skipped":
            tellers[place.key].add(row.event_id)
    for plan in plans:
        if not tellers[plan.key] or plan.event_id in tellers[plan.key]:
            yield plan


class _Transaction:
    """One transaction: stories are told, contacts locked, recipients judged, and messages written down."""

    def __init__(self, db: Connection, settings: Settings) -> None:
        self._db, self._settings = db, settings
        self._lookup = Lookup(db, settings.site_url)
        self._drafts: list[Draft] = []
        self._failed: list[tuple[UUID, Exception]] = []
        self._unknown: dict[Key, set[Entity]] = {}
        """What the stories of some plans would have told of, and nobody has told us."""
        self._begun: defaultdict[tuple[Key, UUID], list[Row]] = defaultdict(list)
        """Messages of each event that an earlier run has planned, and did not skip: they wait for nothing any more."""

    def plan(self, plans: Sequence[Plan], now: datetime) -> Step:
        """Each statement is for all plans, but for what the stories of rare messages ask."""
        self._lookup.foresee([one.delivery for one in plans])
        known = store.read_all(self._db, {one.key for one in plans})
        for place, row in known.items():
            if row.state != "skipped":
                self._begun[place.key, row.event_id].append(row)
        due = [(one, story) for one in _due(plans, known) if (story := self._story(one)) is not None]
        told = list(self._complete(due))
        found = contacts.read(self._db, {story.to.user_id for _, story in told if story.to and story.to.user_id})
        for one, story in told:
            self._address(one, story, found)
        return Step(write_down(self._db, self._drafts, known, self._settings.secret, now), self._failed)

    def _story(self, plan: Plan) -> Story | None:
        self._lookup.unknown.clear()
        try:
            begun = (plan.key, plan.event_id) in self._begun
            if not begun and is_too_old(plan.notice, plan.age, self._settings):
                raise Unwanted("too old")
            story = tell(plan.notice.template, plan.delivery.event, self._lookup)
            if self._lookup.unknown and not begun:
                self._unknown[plan.key] = set(self._lookup.unknown)
            return story
        except (Missing, Unwanted) as reason:
            self._tell_nobody(plan, reason)
        except Held as held:
            self._failed.append((plan.event_id, Held(f"{plan.notice.template}: {held}")))
        return None

    def _complete(self, due: Sequence[tuple[Plan, Story]]) -> Iterator[tuple[Plan, Story]]:
        """The stories without those that could tell more once something is taken up that stands in the log before."""
        asked = set[Entity]().union(*self._unknown.values())
        last = max((one.delivery.event.position or 0 for one, _ in due if one.key in self._unknown), default=0)
        to_come = pending_events.before(get_engine("events"), asked, last)
        for plan, story in due:
            position = plan.delivery.event.position or 0
            late = [one for one in self._unknown.get(plan.key, ()) if to_come.get(one, position) < position]
            if late and plan.delivery.waited.total_seconds() < self._settings.notification_patience:
                self._wait(plan, f"a {late[0].kind} that was told of before is not taken up yet")
            else:
                yield plan, story

    def _wait(self, plan: Plan, reason: str) -> None:
        seconds = min(60.0, max(2.0, plan.delivery.waited.total_seconds()))
        self._failed.append((plan.event_id, Snooze(f"{plan.notice.template}: {reason}", seconds=seconds)))

    def _address(self, plan: Plan, story: Story, found: dict[UUID, Person]) -> None:
        assert story.to is not None  # all others are broadcasts
        try:
            person = story.to.met(found.get(story.to.user_id) if story.to.user_id else None)
        except Missing as missing:
            self._tell_nobody(plan, missing)
        else:
            self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, [person], story.facts))

    def _tell_nobody(self, plan: Plan, reason: Missing | Unwanted) -> None:
        """Written down with the reason. What is missing is waited for first; then a transactional message is dead."""
        if isinstance(reason, Missing) and plan.delivery.waited.total_seconds() < self._settings.notification_patience:
            self._wait(plan, str(reason))
        elif isinstance(reason, Missing) and plan.notice.transactional:
            self._failed.append((plan.event_id, Untold(f"{plan.notice.template}: {reason}")))
        elif (plan.key, plan.event_id) in self._begun:
            self._leave(plan, self._begun[plan.key, plan.event_id], str(reason))
        else:
            self._drafts.append(Draft(plan.notice, plan.channel, plan.delivery, skip=str(reason)))

    def _leave(self, plan: Plan, rows: Sequence[Row], reason: str) -> None:
        """Messages that were planned, and are not wanted any more: those that surely did not go out are skipped."""
        open_messages.skip(
            self._db, {row.id: reason for row in rows if row.state in ("queued", "failed") and not row.accepted}
        )
        for row in rows:
            if row.state == "sending" and row.lease and row.lease > 0:
                self._failed.append(
                    (plan.event_id, Snooze(f"{plan.notice.template}: it is being sent", seconds=row.lease))
                )
            elif row.state in ("sending", "unknown") and not row.accepted:
                self._failed.append((plan.event_id, OutcomeUnknown(f"{plan.notice.template}: {UNKNOWN}")))
