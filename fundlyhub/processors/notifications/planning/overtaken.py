"""Overtaken events: a later event has changed what a message would say.

Events come late, and a backlog may hold a state together with the next one. The recipient reads the message now, so a
state that a later event has changed is not sent any more.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationFailed
from fundlyhub.events.catalogue.user import UserFollowedUser
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.entity_changes import STATES, told

OVERTAKEN = "overtaken"
COMPLETED = "completed already"

# A payment that failed is named by its donation, or as its provider names it.
_COMPLETED = """
    SELECT EXISTS (SELECT FROM gift_donors WHERE donation_id = %(donation)s)
        OR EXISTS (SELECT FROM gift_donors WHERE transaction_id = %(reference)s AND campaign_id = %(campaign)s)
"""
_UNFOLLOWED = """
    SELECT EXISTS (SELECT FROM follows WHERE follower_id = %(follower)s AND kind = 'user' AND followed_id = %(followed)s
                       AND NOT follows AND (occurred_at, position) > (%(at)s, %(position)s))
"""


def reason(db: Connection, event: Event) -> str | None:
    """Why this event's message is not sent any more, if so."""
    match event.payload:
        case DonationFailed() as failed:
            return COMPLETED if _is_completed(db, failed) else None
        case UserFollowedUser() as follow:
            return OVERTAKEN if _is_unfollowed(db, event, follow) else None
        case _:
            return OVERTAKEN if _is_another_state(db, event) else None


def _is_completed(db: Connection, failed: DonationFailed) -> bool:
    """Whether the payment has gone through, before this failure or after it: then money was taken."""
    try:
        donation = UUID(failed.donation_id)
    except ValueError:
        donation = None
    given = {"donation": donation, "reference": failed.donation_id, "campaign": failed.campaign_id}
    return bool(db.exec_driver_sql(_COMPLETED, given).scalar_one())


def _is_unfollowed(db: Connection, event: Event, follow: UserFollowedUser) -> bool:
    given = {
        "follower": follow.follower_id, "followed": follow.followed_user_id, "at": event.timestamp,
        "position": event.position,
    }  # fmt: skip
    return bool(db.exec_driver_sql(_UNFOLLOWED, given).scalar_one())


def _is_another_state(db: Connection, event: Event) -> bool:
    """Whether a later event has changed the state that this one reports, or the thing is gone.

    The outcome of a payout always comes after its request and its approval.
    """
    for entity, name, mine in told([event], STATES):
        known = last_writer_fields.writes_of(db, entity)
        last = known.get(name, mine)
        ended = (name == "progress" and "outcome" in known) or ("deleted" in known and known["deleted"].value)
        if ended or (last.clock > mine.clock and last.value != mine.value):
            return True
    return False
