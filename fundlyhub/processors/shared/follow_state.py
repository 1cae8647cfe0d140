"""Follow state: the last change of each pair of follower and followed, kept as a tombstone after an unfollow.

The event with the later clock wins, in any order of delivery, and users cannot follow themselves. Each processor that
needs it keeps a table of its own, since each has its own transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from logging import getLogger
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.events import Event, Payload
from fundlyhub.events import catalogue as payloads

log = getLogger(__name__)


class Pair(NamedTuple):
    """A follower, and the user, organization or campaign that is followed."""

    follower_id: UUID
    kind: str
    followed_id: UUID


class Word(NamedTuple):
    """The last change of a pair, its time and its event; a row that an older release has written names no event."""

    occurred_at: datetime
    position: int
    follows: bool
    event_id: UUID | None

    @property
    def clock(self) -> tuple[datetime, int, bool]:
        """Orders the changes of a pair: the greatest one is the last."""
        return self[:3]

    def gives_way_to(self, other: Word) -> bool:
        """Whether another change is later, or is the same one in its new place, since the log has lost its tail."""
        is_same = self.event_id is not None and self.event_id == other.event_id
        return self.position != other.position if is_same else self.clock < other.clock


class Change(NamedTuple):
    """The state of a pair before a batch, if there was one, and after it."""

    pair: Pair
    before: Word | None
    after: Word


_FIELDS: Mapping[type[Payload], tuple[str, str, str, bool]] = {
    payloads.UserFollowedUser: ("follower_id", "user", "followed_user_id", True),
    payloads.UserUnfollowedUser: ("follower_id", "user", "unfollowed_user_id", False),
    payloads.UserFollowedOrganization: ("follower_id", "organization", "organization_id", True),
    payloads.UserUnfollowedOrganization: ("follower_id", "organization", "organization_id", False),
    payloads.UserFollowedCampaign: ("user_id", "campaign", "campaign_id", True),
    payloads.UserUnfollowedCampaign: ("user_id", "campaign", "campaign_id", False),
}

FOLLOW_PAYLOADS = tuple(_FIELDS)
"""The payload classes that this module understands; for a processor's ``handles``."""


def last_words(events: Iterable[Event]) -> dict[Pair, Word]:
    """The last change of each pair in these events; self-follows are left out. Pure."""
    words: dict[Pair, Word] = {}
    for event in events:
        fields = _FIELDS.get(type(event.payload))
        if fields is None:
            continue
        follower, kind, followed, follows = fields
        pair = Pair(getattr(event.payload, follower), kind, getattr(event.payload, followed))
        if kind == "user" and pair.follower_id == pair.followed_id:
            log.info("position %s is passed over: a user cannot follow themselves", event.position)
            continue
        assert event.position is not None
        word = Word(event.timestamp, event.position, follows, event.id)
        words[pair] = max(words.get(pair, word), word, key=lambda one: one.clock)
    return words


_COLUMNS = Columns(
    "follower_id", "kind", "followed_id", follower_id="uuid", kind="code", followed_id="uuid",
    occurred_at="timestamptz", position="bigint", follows="boolean", event_id="uuid",
)  # fmt: skip
# Waits for another transaction that inserts the same pair; after this, all of them are there. Sorted, so that two
# batches cannot deadlock.
_INSERT = f"""
    INSERT INTO {{table}} ({_COLUMNS}) SELECT * FROM {_COLUMNS.given} ORDER BY follower_id, kind, followed_id
    ON CONFLICT (follower_id, kind, followed_id) DO NOTHING RETURNING follower_id, kind, followed_id
"""  # noqa: S608 - put together from constants
_LOCK = f"""
    SELECT follower_id, kind, followed_id, known.occurred_at, known.position, known.follows,
           known.event_id
    FROM {{table}} AS known JOIN {_COLUMNS.given} USING (follower_id, kind, followed_id)
    ORDER BY follower_id, kind, followed_id
    FOR UPDATE OF known
"""  # noqa: S608
_UPDATE = f"""
    UPDATE {{table}} AS known SET {_COLUMNS.assigned} FROM {_COLUMNS.given}
    WHERE known.follower_id = given.follower_id AND known.kind = given.kind AND known.followed_id = given.followed_id
"""  # noqa: S608


class LastWords:
    """The follow states in one table; a row with ``follows`` false is a tombstone."""

    def __init__(self, table: str) -> None:
        self._insert, self._lock, self._update = (sql.format(table=table) for sql in (_INSERT, _LOCK, _UPDATE))

    def apply(self, db: Connection, words: Mapping[Pair, Word]) -> list[Change]:
        """Write the changes that are newer than the known state, and return them.

        The pairs stay locked until the transaction ends.
        """
        if not words:
            return []
        inserted = {Pair(*row) for row in db.exec_driver_sql(self._insert, _bound(words)).all()}
        changes = [Change(pair, None, words[pair]) for pair in inserted]
        known = {pair: word for pair, word in words.items() if pair not in inserted}
        if not known:
            return changes
        for row in db.exec_driver_sql(self._lock, _bound(known)).all():
            pair, before = Pair(*row[:3]), Word(*row[3:])
            if before.gives_way_to(known[pair]):
                changes.append(Change(pair, before, known[pair]))
        newer = {change.pair: change.after for change in changes if change.before}
        if newer:
            db.exec_driver_sql(self._update, _bound(newer))
        return changes


def _bound(words: Mapping[Pair, Word]) -> dict[str, Any]:
    return _COLUMNS.bound((*pair, *word) for pair, word in words.items())
