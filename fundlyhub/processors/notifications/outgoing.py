"""Messages become rows of the ledger: the policy decides on all new ones of a transaction at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import DIGESTS
from fundlyhub.processors.notifications.ceilings import hold_back
from fundlyhub.processors.notifications.digests.collecting import gather
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.policy import GATHERED, send_after, skip_reason
from fundlyhub.settings import Settings

NONE: Mapping[UUID, int] = {}


def write_down(
    db: Connection, messages: Sequence[Message], known: Mapping[Key, Row] | None, settings: Settings, now: datetime
) -> list[Message]:
    """Write messages, all of one channel, into the ledger, and return those that their events may send.

    A row of an earlier run keeps its decision; rows are ``known``, or are looked up. Messages of another event with the
    same key are left to that event. The recipients' contacts are locked. What is above a ceiling is held back. Raises
    NamelessRows.
    """
    rows = dict(store.read(db, [one.key for one in messages]) if known is None else known)
    new = [one for one in messages if one.key not in rows]
    new = decide(db, new, settings.secret, now, _recent(db, new, now))
    new = hold_back(db, new, settings)
    rows |= store.plan(db, new)
    gather(db, [one for one in new if one.skip == GATHERED])
    written = [replace(one, row=rows[one.key]) for one in messages if one.address]
    return [
        one
        for one in written
        if one.row and one.row.state not in ("skipped", "held") and one.row.event_id == one.event_id
    ]


def decide(
    db: Connection, messages: Sequence[Message], secret: bytes, now: datetime, recent: Mapping[UUID, int] = NONE
) -> list[Message]:
    """Messages of one channel with the policy's decision; those without a recipient keep theirs.

    ``recent`` is how many limited messages each user got; those of one event do not count against each other.
    """
    addresses = {one.address for one in messages if one.address}
    suppressed = contacts.suppressed(db, messages[0].channel, addresses, secret) if addresses else {}
    got = Counter(recent)

    def decided(one: Message) -> Message:
        if one.skip:
            return one
        suppression, count = suppressed.get(one.address or ""), got[one.person.user_id] if one.person.user_id else 0
        skip = skip_reason(one.notice, one.channel, one.person, one.address, suppression, count)
        return replace(
            one, skip=skip, not_before=None if skip else send_after(one.notice, one.channel, one.person, now)
        )

    found: list[Message] = []
    for _, group in groupby(messages, key=lambda one: one.key.for_all):
        own = [decided(one) for one in group]
        sent = [one for one in own if one.notice.is_limited and one.skip is None]
        got.update(one.person.user_id for one in sent if one.person.user_id)
        found += own
    return found


def _recent(db: Connection, messages: Sequence[Message], now: datetime) -> Mapping[UUID, int]:
    limited = {one.person.user_id for one in messages if one.person.user_id and one.notice.is_limited}
    if not limited:
        return NONE
    return store.recent(db, messages[0].channel, limited, list(DIGESTS), now - timedelta(hours=1))
