"""Which processors want a type, and how positions are batched: tables."""

from __future__ import annotations

from typing import Any

import pytest

from fundlyhub.processing import ProjectionProcessor
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import SMALLEST_SHARE, Batch, Router, apart, batches


def processor(*patterns: str, name: str = "p", **attributes: Any) -> type[Processor]:
    body = {"name": name, "handles": patterns, "handle": lambda self, event, db: None, **attributes}
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
    rows = [(1, "a.x"), (4, "a.y"), (5, "b.z"), (9, "a.x"), (12, "a.x")]
    assert apart([small, large], rows) == [
        Batch((small,), (1, 4)),
        Batch((small,), (9, 12)),
        Batch((large,), (1, 9, 12)),
    ]
    assert list(Router({"small": small}).batches(rows)) == [Batch((small,), (1, 4)), Batch((small,), (9, 12))]


def test_processors_of_a_queue_share_messages_that_name_them() -> None:
    one, two = processor("a.*", name="one"), processor("a.x", "b.x", name="two")
    alone = processor("a.*", name="alone", shares_transactions=False)
    router = Router({"two": two, "one": one, "alone": alone})
    (shared, other) = router.batches([(1, "a.x"), (2, "a.y"), (3, "c.x"), (4, "b.x")])
    assert shared == Batch((one, two), (1, 2, 4))
    assert (shared.task, shared.queue, shared.names) == ("projections", "projections", ["one", "two"])
    assert other == Batch((alone,), (1, 2))
    assert other.task == "projections.alone"


def test_a_processor_without_contents_shares_where_they_are_read_anyway() -> None:
    reader, other = processor("a.*", name="reader"), processor("**", name="other", reads_contents=False)
    found = list(Router({"reader": reader, "other": other}).batches([(1, "a.x"), (2, "b.x"), (3, "a.y")]))
    assert found == [Batch((other, reader), (1, 3)), Batch((other,), (2,))]


def test_a_paused_processor_takes_no_part() -> None:
    one, two = processor("a.*", name="one"), processor("a.x", name="two")
    router = Router({"one": one, "two": two})
    assert list(router.batches([(1, "a.x"), (2, "a.y")], without={"one"})) == [Batch((two,), (1,))]
    assert list(router.batches([(1, "a.x")], without={"one", "two"})) == []


def test_a_shared_message_has_the_smallest_size_of_its_processors() -> None:
    known = {name: processor("a.*", name=name, batch_size=size) for name, size in (("one", 100), ("two", 200))}
    found = list(Router(known).batches((at, "a.x") for at in range(1, 102)))
    assert [len(batch.positions) for batch in found] == [100, 1]


def test_a_processor_of_small_batches_does_not_make_those_of_its_neighbours_small() -> None:
    one, slow = processor("a.*", name="one"), processor("a.*", name="slow", batch_size=SMALLEST_SHARE - 1)
    assert {batch.processors for batch in Router({"one": one, "slow": slow}).batches([(1, "a.x")])} == {(one,), (slow,)}


def test_what_nobody_wants_is_counted_with_its_last_position() -> None:
    router = Router({"p": processor("a.*")})
    assert router.unrouted([(1, "a.x"), (2, "b.x"), (3, "c.x"), (7, "b.x")]) == {"b.x": (2, 7), "c.x": (1, 3)}


def test_splitting_nothing_gives_nothing() -> None:
    one = processor("a.*", batch_size=2)
    assert batches(one, []) == []
    assert batches(one, [1, 2, 3]) == [Batch((one,), (1, 2)), Batch((one,), (3,))]
