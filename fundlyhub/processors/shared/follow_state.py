"""Follow state: the last change of each pair of follower and followed, kept as a tombstone after an unfollow.

The event with the later clock wins, in any order of delivery, and users cannot follow themselves. Each processor that
needs it keeps a table of its own, since each has its own transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from logging import getLogger
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database.arrays import Array, array
from fundlyhub.events import Event, Payload
from fundlyhub.events.catalogue.user import (
    UserFollowedCampaign,
    UserFollowedOrganization,
    UserFollowedUser,
    UserUnfollowedCampaign,
    UserUnfollowedOrganization,
    UserUnfollowedUser,
)

log = getLogger(__name__)


class Pair(NamedTuple):
    """A follower, and the user, organization or campaign that is followed."""

    follower_id: UUID
    kind: str
    followed_id: UUID


class Word(NamedTuple):
    """The last change of a pair, and its time. Ordered by its clock: the greatest one is the last."""

    occurred_at: datetime
    position: int
    follows: bool


class Change(NamedTuple):
    """The state of a pair before a batch, if there was one, and after it."""

    pair: Pair
    before: Word | None
    after: Word


_FIELDS: Mapping[type[Payload], tuple[str, str, str, bool]] = {
    UserFollowedUser: ("follower_id", "user", "followed_user_id", True),
    UserUnfollowedUser: ("follower_id", "user", "unfollowed_user_id", False),
    UserFollowedOrganization: ("follower_id", "organization", "organization_id", True),
    UserUnfollowedOrganization: ("follower_id", "organization", "organization_id", False),
    UserFollowedCampaign: ("user_id", "campaign", "campaign_id", True),
    UserUnfollowedCampaign: ("user_id", "campaign", "campaign_id", False),
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
        word = Word(event.timestamp, event.position, follows)
        words[pair] = max(words.get(pair, word), word)
    return words


def follows_table(name: str, metadata: MetaData) -> Table:
    """A table of follow states; a row with ``follows`` false is a tombstone."""
    return Table(
        name,
        metadata,
        Column("follower_id", Uuid, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("followed_id", Uuid, primary_key=True),
        Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("follows", Boolean, nullable=False),
    )


_GIVEN = """
    unnest(%(followers)s::uuid[], %(kinds)s::text[], %(followed)s::uuid[],
           %(times)s::timestamptz[], %(positions)s::bigint[], %(follows)s::boolean[])
    AS given(follower_id, kind, followed_id, occurred_at, position, follows)
"""

# Waits for another transaction that inserts the same pair; after this, all of them are there. Sorted, so that two
# batches cannot deadlock.
_INSERT = """
    INSERT INTO {table} (follower_id, kind, followed_id, occurred_at, position, follows)
    SELECT * FROM {given}
    ORDER BY follower_id, kind, followed_id
    ON CONFLICT (follower_id, kind, followed_id) DO NOTHING
    RETURNING follower_id, kind, followed_id
"""

_LOCK = """
    SELECT follower_id, kind, followed_id, known.occurred_at, known.position, known.follows
    FROM {table} AS known JOIN {given} USING (follower_id, kind, followed_id)
    ORDER BY follower_id, kind, followed_id
    FOR UPDATE OF known
"""

_UPDATE = """
    UPDATE {table} AS known
    SET occurred_at = given.occurred_at, position = given.position, follows = given.follows
    FROM {given}
    WHERE known.follower_id = given.follower_id AND known.kind = given.kind AND known.followed_id = given.followed_id
"""


class LastWords:
    """The follow states in one table."""

    def __init__(self, table: Table) -> None:
        names = {"table": table.name, "given": _GIVEN}
        self._insert, self._lock, self._update = (sql.format(**names) for sql in (_INSERT, _LOCK, _UPDATE))

    def apply(self, db: Connection, words: Mapping[Pair, Word]) -> list[Change]:
        """Write the changes that are newer than the known state, and return them.

        The pairs stay locked until the transaction ends.
        """
        if not words:
            return []
        inserted = {Pair(*row) for row in db.exec_driver_sql(self._insert, _arrays(words)).all()}
        changes = [Change(pair, None, words[pair]) for pair in inserted]
        known = {pair: word for pair, word in words.items() if pair not in inserted}
        if not known:
            return changes
        for row in db.exec_driver_sql(self._lock, _arrays(known)).all():
            pair, before = Pair(*row[:3]), Word(*row[3:])
            if before < known[pair]:
                changes.append(Change(pair, before, known[pair]))
        newer = {change.pair: change.after for change in changes if change.before}
        if newer:
            db.exec_driver_sql(self._update, _arrays(newer))
        return changes


def _arrays(words: Mapping[Pair, Word]) -> dict[str, Array]:
    return {
        "followers": array(pair.follower_id for pair in words),
        "kinds": array(pair.kind for pair in words),
        "followed": array(pair.followed_id for pair in words),
        "times": array(word.occurred_at for word in words.values()),
        "positions": array(word.position for word in words.values()),
        "follows": array(word.follows for word in words.values()),
    }
