"""Followers of a campaign, and the slices in which they are told of an update."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from fundlyhub.processing.report import Report
from fundlyhub.processors.notifications import EmailBroadcastProcessor
from tests.notifications.post import WELLS, Post
from tests.notifications.test_sending import due_now
from tests.support.platform import wait_until

COUNTS = "SELECT state, count(*)::int FROM app.notifications WHERE template = 'project_update' GROUP BY 1 ORDER BY 1"
TOLD = "SELECT user_id FROM app.notifications WHERE template = 'project_update' AND state = 'sent' ORDER BY user_id"
AFTER = "SELECT after FROM app.broadcasts"
SKIPPED = "SELECT skipped FROM app.broadcasts"


class Short(EmailBroadcastProcessor, register=False):
    """Mails to many, in slices that end after the first few."""

    name = EmailBroadcastProcessor.name
    slice_time = 0.05


def user(number: int) -> UUID:
    """A follower."""
    return UUID(int=10_000 + number)


def followed_by(post: Post, numbers: Sequence[int], *, address: bool = True) -> None:
    """These users follow my campaign; they can be mailed at any time of day."""
    users = [user(number) for number in numbers]
    post.sql(
        "INSERT INTO app.contacts (user_id, email, quiet_from, quiet_until)"
        " SELECT id, CASE WHEN %s THEN 'u' || right(id::text, 6) || '@example.org' END, '03:00', '03:00'"
        " FROM unnest(%s::uuid[]) AS id", address, users,
    )  # fmt: skip
    follows = "INSERT INTO app.follows SELECT id, 'campaign', %s, now(), 1, true FROM unnest(%s::uuid[]) AS id"
    post.sql(follows, WELLS, users)


def mailed(post: Post, positions: list[int]) -> Report:
    """One slice of the mails."""
    return post.run(EmailBroadcastProcessor, positions)


def to_the_end(post: Post, positions: list[int]) -> None:
    """Slices until the event is claimed."""

    def claimed() -> bool:
        due_now(post)
        mailed(post, positions)
        return post.claims(EmailBroadcastProcessor) == positions

    wait_until(claimed, what="the claim")


def to_the_end_of(post: Post, positions: list[int]) -> None:
    """Slices until this event is claimed, beside others."""

    def claimed() -> bool:
        due_now(post)
        mailed(post, positions)
        return set(positions) <= set(post.claims(EmailBroadcastProcessor))

    wait_until(claimed, what="the claim")
