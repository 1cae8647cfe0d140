"""Planning: from the events of a batch to messages in the ledger, in one transaction or event by event.

A transaction locks contacts in one statement and in the order of their ids, before it writes anything, so that two
workers whose batches overlap cannot deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.database import get_engine, is_outage
from fundlyhub.errors import Held, OutcomeUnknown, Snooze, Untold
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import open_messages
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matter_backfill import name
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import NamelessRows
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.outgoing import write_down
from fundlyhub.processors.notifications.planning import pending_events
from fundlyhub.processors.notifications.planning.content import content_of
from fundlyhub.processors.notifications.planning.lookup import Lookup, Missing, Unwanted, known_recipient
from fundlyhub.processors.notifications.planning.too_old import FRESH, is_too_old
from fundlyhub.processors.notifications.sending import UNKNOWN
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.settings import Settings

Failed = list[tuple[UUID, Exception]]
"""Events whose messages are not written, with the reason."""


def plan(
    engine: Engine, messages: Sequence[Message], ages: Mapping[UUID, timedelta], settings: Settings, now: datetime
) -> tuple[list[Message], Failed]:
    """Write messages in one transaction. If that fails, each in its own: one bad event holds up no other.

    Of several messages of one matter the first is planned before the others, which are sent only if the first is
    skipped. ``ages`` are those of old events when they were published. Raises outages.
    """
    first, later = _by_matter(messages)
    if later:
        return _in_parts(engine, (first, later), ages, settings, now)
    try:
        with engine.begin() as db:
            return _Transaction(db, ages, settings).plan(messages, now)
    except NamelessRows as older:
        name(engine, older.keys)
        return plan(engine, messages, ages, settings, now)
    except Exception as error:
        if is_outage(error):
            raise
        if len(messages) == 1:
            return [], [(messages[0].event_id, error)]
    return _in_parts(engine, [[one] for one in messages], ages, settings, now)


def _in_parts(
    engine: Engine, parts: Iterable[Sequence[Message]], ages: Mapping[UUID, timedelta], settings: Settings,
    now: datetime,
) -> tuple[list[Message], Failed]:  # fmt: skip
    done = [plan(engine, part, ages, settings, now) for part in parts]
    return [one for written, _ in done for one in written], [one for _, failed in done for one in failed]


def _by_matter(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The first message of each matter, and all others."""
    first: dict[Key, Message] = {}
    later = [one for one in messages if first.setdefault(one.key, one) is not one]
    return list(first.values()), later


def _due(messages: Sequence[Message], known: Mapping[Key, Row]) -> Iterator[Message]:
    """The messages that may be sent: a matter whose messages another event has written is left to that event.

    Skipped messages do not count.
    """
    tellers: defaultdict[Key, set[UUID]] = defaultdict(set)
    for key, row in known.items():
        if row.state != "skipped":
            tellers[key.for_all].add(row.event_id)
    for one in messages:
        if not tellers[one.key] or one.event_id in tellers[one.key]:
            yield one


class _Transaction:
    """One transaction: contents are put together, contacts locked, recipients judged, and messages written down."""

    def __init__(self, db: Connection, ages: Mapping[UUID, timedelta], settings: Settings) -> None:
        self._db, self._ages, self._settings = db, ages, settings
        self._lookup = Lookup(db, settings.site_url)
        self._planned: list[Message] = []
        self._failed: Failed = []
        self._unknown: dict[Key, set[Entity]] = {}
        """Entities that some messages name, and that no event has named yet."""
        self._begun: defaultdict[tuple[Key, UUID], list[Row]] = defaultdict(list)
        """Rows of each event that an earlier run has planned and not skipped: their messages wait for nothing."""

    def plan(self, messages: Sequence[Message], now: datetime) -> tuple[list[Message], Failed]:
        """Plan messages; each statement is for all of them, but for the lookups of rare messages."""
        self._lookup.foresee([one.delivery for one in messages if one.delivery])
        known = store.read_all(self._db, {one.key for one in messages})
        for key, row in known.items():
            if row.state != "skipped":
                self._begun[key.for_all, row.event_id].append(row)
        due = [filled for one in _due(messages, known) if (filled := self._fill(one)) is not None]
        complete = list(self._complete(due))
        found = contacts.read(self._db, {one.person.user_id for one in complete if one.person.user_id})
        for message in complete:
            self._address(message, found)
        return write_down(self._db, self._planned, known, self._settings, now), self._failed

    def _fill(self, message: Message) -> Message | None:
        """The message with its facts and its recipient as the event says it; None if it is not sent now."""
        self._lookup.unknown.clear()
        delivery, template = _delivery(message), message.notice.template
        try:
            begun = (message.key, message.event_id) in self._begun
            age = self._ages.get(message.event_id, FRESH)
            if not begun and is_too_old(message.notice, age, self._settings):
                raise Unwanted("too old")
            facts, recipient = content_of(template, delivery.event, self._lookup)
            if self._lookup.unknown and not begun:
                self._unknown[message.key] = set(self._lookup.unknown)
            assert isinstance(recipient, Person)  # all others are broadcasts
            return replace(message, facts=facts, person=recipient)
        except (Missing, Unwanted) as reason:
            self._tell_nobody(message, reason)
        except Held as held:
            self._failed.append((message.event_id, Held(f"{template}: {held}")))
        return None

    def _complete(self, due: Sequence[Message]) -> Iterator[Message]:
        """The messages without those that could say more once an earlier event of the log is processed."""
        asked = set[Entity]().union(*self._unknown.values())
        last = max((one.position for one in due if one.key in self._unknown), default=0)
        to_come = pending_events.before(get_engine("events"), asked, last)
        for message in due:
            at = message.position
            late = [one for one in self._unknown.get(message.key, ()) if to_come.get(one, at) < at]
            if late and self._may_wait(message):
                self._wait(message, f"a {late[0].kind} that was told of before is not taken up yet")
            else:
                yield message

    def _may_wait(self, message: Message) -> bool:
        return _delivery(message).waited.total_seconds() < self._settings.notification_patience

    def _wait(self, message: Message, reason: str) -> None:
        seconds = min(60.0, max(2.0, _delivery(message).waited.total_seconds()))
        self._failed.append((message.event_id, Snooze(f"{message.notice.template}: {reason}", seconds=seconds)))

    def _address(self, message: Message, found: Mapping[UUID, Person]) -> None:
        said = message.person
        try:
            person = known_recipient(said, found.get(said.user_id) if said.user_id else None)
        except Missing as missing:
            self._tell_nobody(message, missing)
        else:
            self._planned += message.to(person, self._settings.secret)

    def _tell_nobody(self, message: Message, reason: Missing | Unwanted) -> None:
        """Skip a message with the reason. Missing data is waited for; after that a transactional message is dead."""
        if isinstance(reason, Missing) and self._may_wait(message):
            self._wait(message, str(reason))
        elif isinstance(reason, Missing) and message.notice.transactional:
            self._failed.append((message.event_id, Untold(f"{message.notice.template}: {reason}")))
        elif (message.key, message.event_id) in self._begun:
            self._leave(message, self._begun[message.key, message.event_id], str(reason))
        else:
            self._planned.append(message.skipped(str(reason)))

    def _leave(self, message: Message, rows: Sequence[Row], reason: str) -> None:
        """Skip planned messages that are not wanted any more, as far as they surely did not go out."""
        open_messages.skip(
            self._db, {row.id: reason for row in rows if row.state in ("queued", "failed") and not row.accepted}
        )
        template = message.notice.template
        for row in rows:
            if row.state == "sending" and row.wait > 0:
                self._failed.append((message.event_id, Snooze(f"{template}: it is being sent", seconds=row.wait)))
            elif row.state in ("sending", "unknown") and not row.accepted:
                self._failed.append((message.event_id, OutcomeUnknown(f"{template}: {UNKNOWN}")))


def _delivery(message: Message) -> Delivery:
    assert message.delivery is not None  # only a digest has none
    return message.delivery
