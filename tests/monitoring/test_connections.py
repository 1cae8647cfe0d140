"""A connection is used again where somebody reads every second, and never one whose reading has failed."""

from __future__ import annotations

from itertools import count

import pytest

from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.connections import MOST, Kept


class Door:
    """Opens numbers, and knows which are closed."""

    def __init__(self) -> None:
        self.numbers, self.closed = count(1), list[int]()

    def kept(self, *, keep: bool) -> Kept[int]:
        return Kept(lambda: next(self.numbers), self.closed.append, keep=keep)


def test_one_is_kept_for_the_next_reading() -> None:
    door = Door()
    kept = door.kept(keep=True)
    for _ in range(3):
        with kept.use() as one:
            assert one == 1
    with kept.use(), kept.use() as other:
        assert other == 2, "each reading has one of its own"
    assert door.closed == []


def test_without_keep_each_is_closed() -> None:
    door = Door()
    kept = door.kept(keep=False)
    for number in (1, 2):
        with kept.use() as one:
            assert one == number
    assert door.closed == [1, 2]


def test_one_whose_reading_has_failed_is_closed() -> None:
    door = Door()
    kept = door.kept(keep=True)
    with pytest.raises(Unavailable), kept.use():
        raise Unavailable("away")
    assert door.closed == [1]
    with kept.use() as one:
        assert one == 2


def test_no_more_than_a_few_are_kept() -> None:
    door = Door()
    kept = door.kept(keep=True)
    readings = [kept.use() for _ in range(MOST + 2)]
    opened = [reading.__enter__() for reading in readings]
    for reading in readings:
        reading.__exit__(None, None, None)
    assert opened == list(range(1, MOST + 3))
    assert door.closed == opened[-2:]
