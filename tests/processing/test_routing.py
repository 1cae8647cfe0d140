"""Which processors want a type, and how positions are batched: tables."""

from __future__ import annotations

import pytest

from fundlyhub.processing import ProjectionProcessor
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import Batch, Router, batches


def processor(*patterns: str, name: str = "p", batch_size: int = 500) -> type[Processor]:
    body = {"name": name, "handles": patterns, "batch_size": batch_size, "handle": lambda self, event, db: None}
    return type("P", (ProjectionProcessor,), body, register=False)


@pytest.mark.parametrize(
    ("pattern", "kind", "wanted"),
    [
        ("campaign.created", "campaign.created", True),
        ("campaign.created", "campaign.created.twice", False),
        ("campaign.*", "campaign.created", True),
        ("campaign.*", "campaign.access.checked", False),
        ("campaign.*", "campaigns.created", False),
        ("campaign.**", "campaign.access.checked", True),
        ("campaign.**", "campaign.created", True),
        ("payout.**", "payout.bank_account.verified", True),
        ("payout.**", "payouts.requested", False),
        ("**.deleted", "admin.user.deleted", True),
        ("**.deleted", "campaign.deleted", True),
        ("**", "project.update.created", True),
        ("*", "donation.completed", False),
        ("*.completed", "donation.completed", True),
        ("*.completed", "payout.completed", True),
        ("user.followed_*", "user.followed_organization", True),
        ("user.followed_*", "user.unfollowed_user", False),
        ("user.*followed_user", "user.unfollowed_user", True),
        ("user.followed_campaign", "user.campaign_followed", True),
        ("admin.user.*", "admin.user_suspended", True),
        ("brand.new", "brand.new", True),
        ("brand.*", "brand.new", True),
        ("donation.*", "brand.new", False),
    ],
)
def test_a_pattern_wants_a_type(pattern: str, kind: str, wanted: bool) -> None:
    assert bool(Router({"p": processor(pattern)}).wanting(kind)) is wanted


def test_batches_keep_the_order_and_the_size_of_each_processor() -> None:
    small, large = processor("a.*", name="small", batch_size=2), processor("a.x", name="large")
    router = Router({"large": large, "small": small})
    rows = [(1, "a.x"), (4, "a.y"), (5, "b.z"), (9, "a.x"), (12, "a.x")]
    assert sorted(router.batches(rows), key=lambda batch: batch.positions) == [
        Batch(small, (1, 4)),
        Batch(large, (1, 9, 12)),
        Batch(small, (9, 12)),
    ]


def test_what_nobody_wants_is_counted_with_its_last_position() -> None:
    router = Router({"p": processor("a.*")})
    assert router.unrouted([(1, "a.x"), (2, "b.x"), (3, "c.x"), (7, "b.x")]) == {"b.x": (2, 7), "c.x": (1, 3)}


def test_splitting_nothing_gives_nothing() -> None:
    one = processor("a.*", batch_size=2)
    assert batches(one, []) == []
    assert batches(one, [1, 2, 3]) == [Batch(one, (1, 2)), Batch(one, (3,))]
