"""Partitions are there before they are needed, and a claim that has none is served all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fundlyhub.processing.executor import execute
from fundlyhub.retention.claims.partitions import Range, existing, make_ahead, wanted
from tests.retention.claims.kept import SIZE, Kept, another, names, values
from tests.support.platform import wait_until
from tests.support.processors import TestCountProcessor

IN_DEFAULT = "SELECT position FROM processed_events_default ORDER BY position"
CLAIMED = "SELECT position FROM processed_events ORDER BY position"
ATTACH = "ALTER TABLE processed_events ATTACH PARTITION processed_events_5000 FOR VALUES FROM (5000) TO (5010)"
BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'processed_events_default'::regclass"


@pytest.mark.parametrize(
    ("taken", "numbers", "found"),
    [
        ([], [0], [(0, 9)]),
        ([(0, 9)], [0, 1], [(10, 19)]),
        ([(0, 14)], [0, 1, 2], [(15, 19), (20, 29)]),
        ([(12, 13), (16, 25)], [1], [(10, 11), (14, 15)]),
        ([(0, 99)], [0, 5, 9], []),
        ([(0, 9)], [3, 3, 100], [(30, 39), (1000, 1009)]),
    ],
)
def test_wanted_are_those_of_the_numbers_without_what_is_taken(
    taken: list[tuple[int, int]], numbers: list[int], found: list[tuple[int, int]]
) -> None:
    assert wanted([Range(*one) for one in taken], numbers, 10) == [Range(*one) for one in found]


def test_two_are_made_ahead_and_none_twice(kept: Kept) -> None:
    assert names(kept.db) == ["processed_events_0", "processed_events_10", "processed_events_20"]
    assert make_ahead(kept.db, 8, SIZE) == []
    assert make_ahead(kept.db, 9, SIZE) == [Range(30, 39)]


def test_several_keepers_at_once_make_each_once(kept: Kept) -> None:
    with ThreadPoolExecutor(4) as pool, another() as a, another() as b, another() as c, another() as d:
        made = list(pool.map(lambda db: make_ahead(db, 35, SIZE), (a, b, c, d)))
    make_ahead(kept.db, 35, SIZE)  # the last word, should all have met the lock of another
    assert sum(len(one) for one in made) <= 3
    assert [one.range.low for one in existing(kept.db)] == [0, 10, 20, 30, 40, 50]


def test_a_log_that_jumps_waits_for_nobody_and_its_claims_get_their_partition(kept: Kept) -> None:
    before = kept.applied(2)
    kept.events.execute("SELECT setval('events.events_position_seq', 5000)")
    jumped = kept.applied(12)
    assert values(kept.db, IN_DEFAULT) == jumped == list(range(5001, 5013))
    made = make_ahead(kept.db, jumped[-1], SIZE)
    assert [one.low for one in made] == [5000, 5010, 5020, 5030]
    assert values(kept.db, IN_DEFAULT) == []
    assert values(kept.db, CLAIMED) == [*before, *jumped]
    assert execute(TestCountProcessor, jumped).outcomes == {"skipped": 12}


def test_a_partition_is_made_later_while_a_worker_has_claimed_into_the_default_one(kept: Kept) -> None:
    with another() as worker:
        with worker.transaction():
            worker.execute("INSERT INTO processed_events VALUES ('test_count', 5001, gen_random_uuid())")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                make_ahead(kept.db, 5001, SIZE)
            assert len(names(kept.db)) == 3
        make_ahead(kept.db, 5001, SIZE)
    assert values(kept.db, "SELECT position FROM processed_events_5000") == [5001]


def test_a_worker_that_meets_a_partition_in_the_making_claims_again_and_is_charged_nothing(kept: Kept) -> None:
    kept.events.execute("SELECT setval('events.events_position_seq', 5000)")
    (position,) = kept.publish("fine")
    with another() as keeper, ThreadPoolExecutor(1) as pool:
        with keeper.transaction():
            keeper.execute("LOCK TABLE processed_events_default IN ACCESS EXCLUSIVE MODE")
            report = pool.submit(execute, TestCountProcessor, [position])
            wait_until(lambda: values(kept.db, BLOCKED) == [1], what="a claim that waits")
            keeper.execute("CREATE TABLE processed_events_5000 (LIKE processed_events INCLUDING ALL)")
            keeper.execute(ATTACH)
        assert report.result(30).outcomes == {"done": 1}
    assert values(kept.db, "SELECT position FROM processed_events_5000") == [position]
    assert values(kept.events, "SELECT count(*) FROM events.attempts") == [0]
