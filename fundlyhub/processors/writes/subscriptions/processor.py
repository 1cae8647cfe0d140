"""The processor of the subscriptions and their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.events import Event
from fundlyhub.processing import AggregateRows, WriteProcessor
from fundlyhub.processors.shared.event_ids import names_event
from fundlyhub.processors.shared.follow_state import FOLLOW_PAYLOADS, Change, LastWords, last_words
from fundlyhub.processors.shared.last_writer_fields import KEYS, Entity

_last_words = LastWords("follows")

# Each difference is added once, by the transaction that changed the pair under its lock.
_COUNTS = Columns(kind="code", id="uuid", follower_count="bigint", following_count="bigint")
_ADD = f"""
    INSERT INTO follow_counts AS known ({_COUNTS}) SELECT * FROM {_COUNTS.given} ORDER BY kind, id
    ON CONFLICT (kind, id) DO UPDATE
    SET follower_count = known.follower_count + excluded.follower_count,
        following_count = known.following_count + excluded.following_count
"""  # noqa: S608 - put together from constants

_FORGET = f"""
    DELETE FROM follow_counts AS known USING {KEYS.given}
    WHERE known.kind = given.kind AND known.id = given.id AND follower_count = 0 AND following_count = 0
"""  # noqa: S608


class SubscriptionWriteProcessor(WriteProcessor):
    """Follows and unfollows of users, organizations and campaigns, and their counts.

    Converges without the claims too: the last event by time and position wins, in any order of delivery.
    """

    handles = FOLLOW_PAYLOADS
    tables = (names_event("follows"), "follow_counts")
    aggregate_rows = AggregateRows(
        {
            "follows": "follower_id = %(id)s OR followed_id = %(id)s",
            "follow_counts": "id = %(id)s",
        }
    )

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Apply the last change of each pair, and update the counts."""
        counts = differences(_last_words.apply(db, last_words(events)))
        changed = {entity: count for entity, count in counts.items() if count != (0, 0)}
        if not changed:
            return
        db.exec_driver_sql(_ADD, _COUNTS.bound((*entity, *count) for entity, count in changed.items()))
        if any(min(count) < 0 for count in changed.values()):
            db.exec_driver_sql(_FORGET, KEYS.bound(changed))


class Count(NamedTuple):
    """By how much the number of followers and of those followed has changed."""

    followers: int
    following: int


def differences(changes: Iterable[Change]) -> dict[Entity, Count]:
    """The differences of the counts by changed follows. Pure."""
    followers: Counter[Entity] = Counter()
    following: Counter[Entity] = Counter()
    for pair, before, after in changes:
        change = after.follows - (before.follows if before else False)
        followers[Entity(pair.kind, pair.followed_id)] += change
        following[Entity("user", pair.follower_id)] += change
    return {entity: Count(followers[entity], following[entity]) for entity in {**followers, **following}}
