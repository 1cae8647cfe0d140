"""Messages become rows of the ledger: the policy decides on all new ones of a transaction at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import LIMITED
from fundlyhub.processors.notifications.digests.collecting import gather
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.policy import GATHERED, judge


def write_down(
    db: Connection, messages: Sequence[Message], known: Mapping[Key, Row] | None, secret: bytes, now: datetime
) -> list[Message]:
    """Write messages, all of one channel, into the ledger, and return those that their events may send.

    A row of an earlier run keeps its decision; rows are ``known``, or are looked up. Messages of another event with the
    same key are left to that event. The recipients' contacts are locked. Raises NamelessRows.
    """
    rows = dict(store.read(db, [one.key for one in messages]) if known is None else known)
    new = _decided(db, [one for one in messages if one.key not in rows], secret, now)
    rows |= store.plan(db, new)
    gather(db, [one for one in new if one.decision.skip == GATHERED])
    written = [replace(one, row=rows[one.key]) for one in messages if one.address]
    return [one for one in written if one.row and one.row.state != "skipped" and one.row.event_id == one.event_id]


def _decided(db: Connection, messages: Sequence[Message], secret: bytes, now: datetime) -> list[Message]:
    """New messages with the policy's decision. Those of one event do not count against each other."""
    if not messages:
        return []
    channel = messages[0].channel
    suppressed = contacts.suppressed(db, channel, {one.address for one in messages if one.address}, secret)
    limited = {one.person.user_id for one in messages if one.person.user_id and one.notice.is_limited}
    recent = Counter(store.recent(db, channel, limited, LIMITED, now - timedelta(hours=1)) if limited else {})

    def decided(one: Message) -> Message:
        if one.decision.skip:
            return one
        suppression = suppressed.get(one.address or "")
        got = recent[one.person.user_id] if one.person.user_id else 0
        decision = judge(one.notice, channel, one.person, one.address, suppression, got, now)
        return replace(one, decision=decision)

    found: list[Message] = []
    for _, group in groupby(messages, key=lambda one: one.key.for_all):
        own = [decided(one) for one in group]
        sent = [one for one in own if one.notice.is_limited and one.decision.skip is None]
        recent.update(one.person.user_id for one in sent if one.person.user_id)
        found += own
    return found
