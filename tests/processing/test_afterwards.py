"""When ``afterwards()`` is called: after each batch, or once in a while where the processor says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import pytest

from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.shared import execute_shared
from tests.processing.conftest import Query
from tests.processing.look import Counting, publish

Run = Callable[[Sequence[int]], object]


class Often(Counting, register=False):
    """Counts its calls."""

    name = "often"
    handles = ("search.**", "search.query.submitted")
    calls: ClassVar[int] = 0

    def afterwards(self) -> None:
        """One more."""
        type(self).calls += 1


class Seldom(Often, register=False):
    """A minute is soon enough for it."""

    name = "seldom"
    afterwards_pause = 60.0


def alone(processor: type[Processor]) -> Run:
    return partial(execute, processor)


def together(processor: type[Processor]) -> Run:
    return partial(execute_shared, (processor,))


@pytest.mark.parametrize("way", [alone, together])
@pytest.mark.parametrize(("processor", "calls"), [(Often, 3), (Seldom, 1)])
def test_after_each_batch_or_once_in_its_pause(
    way: Callable[[type[Processor]], Run], processor: type[Often], calls: int, query: Query
) -> None:
    class Mine(processor, register=False):  # type: ignore[call-arg, misc, valid-type]  # not called before
        name = f"{processor.name}_{way.__name__}"
        calls = 0

    run = way(Mine)
    for word in ("one", "two", "three"):
        run(publish(word))
    assert Mine.calls == calls


def test_the_sweep_is_not_put_off(query: Query) -> None:
    Seldom.calls = 0
    for _ in range(3):
        execute(Seldom, [])
    assert Seldom.calls == 3
