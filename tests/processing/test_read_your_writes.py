"""Read your writes: a wait is over when the claims are there, or when it is certain that they will not come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub import Applied, Unavailable, WrongUse, publish_event, publish_events, wait_applied, wait_applied_async
from fundlyhub.database import connect
from fundlyhub.events import Event
from fundlyhub.processing.executor import execute
from fundlyhub.processing.read_your_writes import LONGEST, MOST
from fundlyhub.relay.registration import register
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import settings_of
from tests.processing.conftest import Query
from tests.processing.look import publish
from tests.support.make import campaign, completed, search
from tests.support.platform import Platform
from tests.support.processors import TABLES, TestCountProcessor, TestSlowProcessor
from tests.support.roles import Roles

KNOWN = {"test_count": TestCountProcessor, "test_slow": TestSlowProcessor}


@pytest.fixture
def registered(query: Query) -> Query:
    """The tests' processors, as a relay registers them."""
    with connect("events") as db:
        register(db, KNOWN)
    return query


def asynchronously(*args: Any, **given: Any) -> Applied:
    return asyncio.run(wait_applied_async(*args, **given))


both = pytest.mark.parametrize("wait", [wait_applied, asynchronously])
Wait = Callable[..., Applied]


@both
@pytest.mark.usefixtures("registered")
def test_it_is_true_once_the_claims_are_there(wait: Wait) -> None:
    sent = publish_events([search("a"), search("b")])
    positions = tuple(event.position or 0 for event in sent)
    early = wait(sent, "test_count", timeout=0)
    assert not early
    assert early == Applied(waiting={"test_count": positions})
    assert str(early) == f"test_count: 2 events (the first at position {positions[0]}) not applied in time"
    execute(TestCountProcessor, positions[:1])
    assert wait(sent[0], "test_count", timeout=0)
    assert wait(sent, "test_count", timeout=0) == Applied(waiting={"test_count": positions[1:]})
    later = threading.Timer(0.2, execute, (TestCountProcessor, positions))
    later.start()
    assert wait(sent, "test_count", timeout=30) == Applied()
    later.join()
    assert wait(positions, "test_count", timeout=0), "positions do as well as events"


@both
@pytest.mark.usefixtures("registered")
def test_what_a_processor_does_not_handle_is_not_waited_for(wait: Wait) -> None:
    created = publish_event(campaign())
    assert wait(created, "test_count", timeout=0)
    (searched,) = publish("a")
    assert wait(searched, "test_slow", timeout=0)
    assert wait(searched, "test_slow", "test_count", timeout=0).waiting == {"test_count": (searched,)}


def test_nor_what_lies_before_its_beginning(registered: Query) -> None:
    (old,) = publish("a")
    registered("UPDATE events.processors SET from_position = %s", old)
    assert wait_applied(old, "test_count", timeout=0)


def test_without_events_it_asks_no_database() -> None:
    with settings_of({}):
        assert wait_applied([], "campaign_stats", timeout=0)
        assert asynchronously([], "campaign_stats", timeout=0)


@both
def test_a_dead_letter_ends_the_wait_at_once(wait: Wait, registered: Query) -> None:
    good, bad = publish("fine", "permanent")
    execute(TestCountProcessor, [bad])
    began = time.monotonic()
    answer = wait([good, bad], "test_count", timeout=60)
    assert time.monotonic() - began < 30
    assert answer == Applied(waiting={"test_count": (good,)}, dead={"test_count": (bad,)})
    assert f"test_count: 1 event (position {bad}) dead" in str(answer)
    registered("UPDATE events.dead_letters SET state = 'replayed'")
    assert wait(bad, "test_count", timeout=0).dead == {}, "it is under way again"


@both
def test_an_event_that_is_not_committed_ends_the_wait_at_once(wait: Wait, registered: Query) -> None:
    with connect("events") as db:
        event = publish_event(search("a"), session=db)
        began = time.monotonic()
        answer = wait(event, "test_count", timeout=60)
        assert time.monotonic() - began < 30
        assert answer == Applied(missing=(event.position or 0,))
        assert "not committed, or not in the log" in str(answer)


@pytest.mark.usefixtures("registered")
def test_an_unknown_processor_ends_the_wait_at_once() -> None:
    answer = wait_applied(publish("a"), "campaign_statistics", "test_slow", timeout=60)
    assert answer == Applied(unknown=("campaign_statistics",))
    assert str(answer) == "no processor is registered as 'campaign_statistics'"


def test_claims_that_were_dropped_count_as_applied(registered: Query) -> None:
    sent = publish("a", "b")
    registered(
        "INSERT INTO analytics.dropped_claims (low, high, claims, who) VALUES (%s, %s, '{}', 'test')", sent[0], sent[1]
    )
    assert wait_applied(sent, "test_count", timeout=0)
    registered("DELETE FROM events.events")
    assert wait_applied(sent, "test_count", timeout=0), "archived, too"


def test_the_claim_of_another_event_at_this_position_does_not_count(registered: Query) -> None:
    (position,) = publish("a")
    execute(TestCountProcessor, [position])
    registered("UPDATE events.events SET id = %s", uuid4())
    assert wait_applied(position, "test_count", timeout=0).waiting == {"test_count": (position,)}


def test_a_processor_that_the_former_releases_relay_registered_is_known_by_its_code(registered: Query) -> None:
    registered("UPDATE events.processors SET database = NULL")
    assert wait_applied(publish("a"), "test_count", timeout=0).waiting
    with connect("events") as db:
        register(db, KNOWN)
    assert registered("SELECT DISTINCT database FROM events.processors") == [("analytics",)]


@pytest.mark.parametrize(
    ("events", "processors", "timeout"),
    [
        ([1], (), 1),
        ([1], ("",), 1),
        ([1], (TestCountProcessor,), 1),
        ([1], ("test_count",), -1),
        ([1], ("test_count",), LONGEST + 1),
        ([1], ("test_count",), float("nan")),
        ([0], ("test_count",), 1),
        (["1"], ("test_count",), 1),
        ([2**63], ("test_count",), 1),
        (range(1, MOST + 2), ("test_count",), 1),
        (Event.of(search("never published")), ("test_count",), 1),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(events: Any, processors: Any, timeout: float) -> None:
    with pytest.raises(WrongUse):
        wait_applied(events, *processors, timeout=timeout)
    with pytest.raises(WrongUse):
        asynchronously(events, *processors, timeout=timeout)


def test_the_role_of_readers_may_wait_and_that_of_publishers_may_not(
    registered: Query, dsn: str, settings: Settings
) -> None:
    sent = publish("fine", "permanent")
    execute(TestCountProcessor, sent)
    roles = Roles(dsn)
    with settings_of(roles.variables("reader")):
        assert wait_applied(sent[0], "test_count", timeout=0)
        assert wait_applied(sent[1], "test_count", timeout=60).dead
    with settings_of(roles.variables("publisher")), pytest.raises(Unavailable, match="rights that it lacks"):
        wait_applied(sent[0], "test_count", timeout=0)


def test_an_event_loop_goes_on_meanwhile(registered: Query) -> None:
    (position,) = publish("a")

    async def both() -> tuple[Applied, int]:
        waiting = asyncio.create_task(wait_applied_async(position, "test_count", timeout=60))
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0.01)
            if turns == 10:
                await asyncio.to_thread(execute, TestCountProcessor, [position])
        return waiting.result(), turns

    answer, turns = asyncio.run(both())
    assert answer
    assert turns >= 10


@pytest.mark.timeout(900)
def test_it_waits_for_a_real_worker(platform: Platform) -> None:
    platform.execute(TABLES)
    platform.relay()
    platform.worker()
    gift = publish_event(completed(amount=20))
    while wait_applied(gift, "campaign_stats", timeout=60).unknown:
        time.sleep(0.05)
    gifts = publish_events(completed(amount=1) for _ in range(100))
    assert wait_applied([gift, *gifts], "campaign_stats", "search_index", timeout=60)
    assert platform.value("SELECT sum(total_raised) FROM analytics.campaign_stats_now") == 120
    (poison,) = publish("permanent")
    assert wait_applied(poison, "test_count", timeout=120).dead == {"test_count": (poison,)}
