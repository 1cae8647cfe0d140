"""One campaign or one user rebuilt alone: its rows are made anew, others stay, and nothing is lost beside traffic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from fundlyhub import Payload, UserFollowedUser, publish_events, rebuilds
from fundlyhub.errors import WrongUse
from fundlyhub.events.catalogue.user import UserFollowedCampaign
from fundlyhub.processing.executor import execute
from fundlyhub.settings import Settings
from tests.rebuilds.schemas import schemas
from tests.rebuilds.test_exchange import ROWS, STATS
from tests.support.make import completed, refunded
from tests.support.platform import wait_until
from tests.verification.world import ANN, BEN, OURS, ROOFS, WELLS, found, sql

WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
ABLE = sorted(name for name, cls in OURS.items() if cls.aggregate_rows)
DAMAGE = {
    "campaign_stats": (
        "UPDATE analytics.campaign_stats_projection SET total_raised = total_raised + 1",
        "UPDATE analytics.donation_facts SET amount = amount + 1 WHERE campaign_id = '{wells}'",
        "DELETE FROM analytics.campaign_donors WHERE campaign_id = '{wells}'",
        "UPDATE analytics.donation_facts SET campaign_id = '{roofs}' WHERE campaign_id = '{wells}'",
    ),
    "subscription_write": (
        "DELETE FROM app.follows WHERE followed_id = '{wells}'",
        "UPDATE app.follow_counts SET follower_count = 99 WHERE id = '{wells}'",
    ),
    "activity_feed": (
        "DELETE FROM app.activities WHERE target_id = '{wells}' AND type <> 'followed_campaign'",
        "UPDATE app.feed_gifts SET amount = 1 WHERE campaign_id = '{wells}'",
        "INSERT INTO app.activities (position, occurred_at, type, target_kind, target_id)"
        " VALUES (900000, now(), 'goal_reached', 'campaign', '{wells}')",
        "INSERT INTO app.timeline_entries VALUES ('campaign', '{wells}', now(), 900000)",
    ),
    "reference_write": (
        "DELETE FROM app.entities WHERE id = '{wells}'",
        "UPDATE app.entity_fields SET value = '\"?\"' WHERE id = '{wells}' AND kind = 'campaign'",
        "INSERT INTO app.entities (kind, id, shown) VALUES ('organization', '{wells}', true)",
    ),
    "search_index": (
        "DELETE FROM analytics.campaign_search_projection WHERE campaign_id = '{wells}'",
        "UPDATE analytics.entity_fields SET value = '\"?\"' WHERE id = '{wells}'",
        "INSERT INTO analytics.search_gifts VALUES ('{wells}', gen_random_uuid())",
    ),
}
"""What is done to the tables by hand; to the rows of the campaign WELLS, and of others too."""


def contents(name: str) -> dict[str, list[Any]]:
    """All rows of a processor's tables; without numbers that depend on the order of events."""
    rows = OURS[name].aggregate_rows
    assert rows is not None
    query = "SELECT to_jsonb(one) - '{{version,sent_version}}'::text[] FROM {}.{} AS one ORDER BY 1"
    return {table: sql(query.format(OURS[name].database, table)) for table in rows.rows}


def changes(settings: Settings, name: str, id: UUID) -> dict[str, tuple[int, int, int]]:
    """What a swap would change, of the tables in which it would."""
    told = {one.table: (one.added, one.gone, one.changed) for one in rebuilds.diff_aggregate(settings, OURS, name, id)}
    return {table: numbers for table, numbers in told.items() if any(numbers)}


def run(name: str, *payloads: Payload) -> list[int]:
    """These events are published, and the processor has applied them."""
    positions = [one.position or 0 for one in publish_events(payloads)]
    assert execute(OURS[name], positions).outcomes == {"done": len(positions)}
    return positions


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.chaos  # for its length
def test_what_was_damaged_of_one_is_told_and_mended_and_what_is_right_stays(at_rest: Settings, name: str) -> None:
    right = contents(name)
    for one in (WELLS, BEN):
        rebuilds.swap_aggregate(at_rest, OURS, name, one, who="ann")
    assert contents(name) == right, "rows of a database that is right are put there as they were"
    for statement in DAMAGE[name]:
        sql(statement.format(wells=WELLS, roofs=ROOFS))
    assert changes(at_rest, name, WELLS) != {}
    done = rebuilds.swap_aggregate(at_rest, OURS, name, WELLS, who="ann")
    assert sum(one.put for one in done.tables) > 0
    assert changes(at_rest, name, WELLS) == {}
    left = found(name)
    assert {str(WELLS) in str(one.key) for one in left} == ({False} if name == STATS else set()), "only that to others"
    assert schemas() == []


def test_a_donation_that_went_to_two_campaigns_and_one_that_was_refunded_first_are_whole(at_rest: Settings) -> None:
    early = uuid4()
    run(STATS, refunded(early, "4.00"), completed(WELLS, donation_id=early, amount=10))
    assert changes(at_rest, STATS, WELLS) == changes(at_rest, STATS, ROOFS) == {}
    sql("UPDATE analytics.donation_facts SET amount = 1 WHERE donation_id = %s", early)
    assert changes(at_rest, STATS, WELLS)["donation_facts"] == (0, 0, 1)
    rebuilds.swap_aggregate(at_rest, OURS, STATS, WELLS, who="ann")
    assert found(STATS) == []


@contextmanager
def traffic(name: str, some: Callable[[], list[Payload]]) -> Iterator[None]:
    """Events that two workers apply, for as long as the block runs; they meet what is being replaced."""
    enough, errors = threading.Event(), []

    def work() -> None:
        try:
            while not enough.is_set():
                run(name, *some())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)
    assert errors == []


def gifts() -> list[Payload]:
    """To both campaigns, of which one is refunded before it is complete and one afterwards."""
    one, two = uuid4(), uuid4()
    return [
        refunded(one, "1.00"), completed(WELLS, donation_id=one, amount=10), completed(ROOFS),
        completed(WELLS, donation_id=two, amount=10, donor_id=BEN), refunded(two, "2.00"),
    ]  # fmt: skip


def follows() -> list[Payload]:
    """Of people who are new."""
    return [
        UserFollowedCampaign(user_id=uuid4(), campaign_id=WELLS, follow_type="user"),
        UserFollowedUser(follower_id=uuid4(), followed_user_id=BEN),
        UserFollowedUser(follower_id=BEN, followed_user_id=uuid4()),
    ]


@pytest.mark.chaos  # for its length
@pytest.mark.parametrize(
    ("name", "id", "some", "damage"),
    [
        (STATS, WELLS, gifts, "UPDATE analytics.campaign_stats_projection SET total_raised = 0 WHERE campaign_id = %s"),
        ("subscription_write", BEN, follows, "UPDATE app.follow_counts SET follower_count = 0 WHERE id = %s"),
        ("activity_feed", WELLS, gifts, "DELETE FROM app.activities WHERE target_id = %s AND type = 'donation_made'"),
        ("search_index", WELLS, follows, "UPDATE analytics.search_documents SET popularity = 0 WHERE id = %s"),
    ],
)
def test_rows_are_mended_while_events_of_the_same_aggregate_are_applied(
    at_rest: Settings, name: str, id: UUID, some: Callable[[], list[Payload]], damage: str
) -> None:
    with traffic(name, some):
        for _ in range(2):
            sql(damage, id)
            done = rebuilds.swap_aggregate(at_rest, OURS, name, id, who="ann")
            assert done.locked < 2
    assert found(name) == []


def test_a_donation_that_completes_at_the_last_moment_brings_its_refund_of_long_ago(at_rest: Settings) -> None:
    """The completion is claimed between the look through the log and the lock; nothing but it names the campaign."""
    donation = uuid4()
    run(STATS, refunded(donation, "4.00"))
    before = sql(ROWS)
    with psycopg.connect(at_rest.dsn("events")) as reader, ThreadPoolExecutor(1) as threads:
        reader.execute("SELECT * FROM analytics.donation_facts")
        swapping = threads.submit(rebuilds.swap_aggregate, at_rest, OURS, STATS, WELLS, who="ann")
        wait_until(lambda: sql(WAITS)[0][0], what="the swap to wait for the reader")
        run(STATS, completed(WELLS, donation_id=donation, amount=10))  # when the swap gives up waiting for a while
        reader.rollback()
        swapping.result(60)
    assert sql(ROWS) != before
    assert found(STATS) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("email_notification", "it sends messages"),
        ("recipient_write", "contacts has columns that follow from no event"),
        ("nobody", "no such processor"),
    ],
)
def test_where_rows_do_not_follow_from_an_aggregate_it_is_refused(at_rest: Settings, name: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        rebuilds.swap_aggregate(at_rest, OURS, name, ANN, who="ann")
    assert schemas() == []
