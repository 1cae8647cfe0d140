"""Claims are counted a slice at a time; the sum is whole, and late claims are found on the next turn."""

from __future__ import annotations

import psycopg
import pytest

from fundlyhub.database import connect
from fundlyhub.monitoring.claims import Claims, order
from fundlyhub.settings import Settings

CLAIM = """
    INSERT INTO analytics.processed_events (processor, position, event_id)
    SELECT %s, n, gen_random_uuid() FROM generate_series(%s::bigint, %s::bigint) n
"""


@pytest.mark.parametrize(
    ("slices", "counted", "wanted"),
    [
        (1, [], [0]),
        (1, [0], [0]),
        (4, [], [3, 2, 0, 1]),
        (4, [0, 3, 2], [3, 2, 1, 0]),
        (5, [2, 0, 1, 4, 3], [4, 3, 2, 0, 1]),
    ],
)
def test_newest_first_then_new_ones_then_the_longest_ago(slices: int, counted: list[int], wanted: list[int]) -> None:
    assert order(slices, counted) == wanted


def test_those_that_grew_come_after_the_newest() -> None:
    assert order(6, [0, 1, 2, 3], grown=[2]) == [5, 4, 2, 0, 1, 3]


def claim(db: psycopg.Connection, processor: str, first: int, last: int) -> None:
    """Claims at these positions."""
    db.execute(CLAIM, (processor, first, last))


def test_nothing_is_said_before_all_slices_are_counted_once(settings: Settings) -> None:
    with connect("analytics", autocommit=True) as db:
        claim(db, "one", 1, 45)
        claim(db, "two", 5, 12)
        claims = Claims(["one", "two", "three"], slice=10)
        said = [claims.read(db, seconds=-1) for _ in range(3)]  # each time the two newest, and one of the other three
        assert said == [None, None, {"one": 45, "two": 8, "three": 0}]


def test_late_claims_are_found_on_the_next_turn(settings: Settings) -> None:
    with connect("analytics", autocommit=True) as db:
        claim(db, "one", 20, 60)
        claims = Claims(["one"], slice=10)
        assert claims.read(db, seconds=10) == {"one": 41}
        claim(db, "one", 11, 13)  # replayed dead letters, far behind
        claim(db, "one", 61, 61)
        assert claims.read(db, seconds=-1) == {"one": 42}, "the newest at once"
        assert claims.read(db, seconds=-1) == {"one": 45}, "the others in their turn"


def test_slices_that_grow_are_counted_each_time(settings: Settings) -> None:
    with connect("analytics", autocommit=True) as db:
        claim(db, "one", 90, 99)
        claims = Claims(["one"], slice=10)
        assert claims.read(db, seconds=10) == {"one": 10}
        assert claims.is_whole
        claim(db, "one", 40, 42)  # a backlog: far behind the newest
        while claims.read(db, seconds=-1) == {"one": 10}:
            pass  # until its turn comes
        for first in (43, 46):
            claim(db, "one", first, first + 2)
            assert claims.read(db, seconds=-1) == {"one": first - 27}
