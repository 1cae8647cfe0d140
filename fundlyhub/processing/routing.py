"""Routes event types to the processors that want them, and divides positions into batches. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import canonical_type
from fundlyhub.processing.processor import Processor, Queue
from fundlyhub.settings import Branch

SHARED: Mapping[Queue, Branch] = {"writes": "app", "projections": "analytics"}
"""The queues whose processors share messages, and the database that all of these have their effects in."""
SMALLEST_SHARE = 100
"""Events in one call that a processor takes at least if it is to share messages: one that wants fewer at a time would
make the transactions of its neighbours as small."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions that one message carries, for one processor, or for several of a queue: then it is shared."""

    processors: tuple[type[Processor], ...]
    positions: tuple[int, ...]

    @property
    def task(self) -> str:
        """The name of the task that runs it: the processor's own, or the queue's."""
        return self.queue if len(self.processors) > 1 else self.processors[0].task_name()

    @property
    def queue(self) -> Queue:
        """The queue that it goes to."""
        return self.processors[0].queue

    @property
    def names(self) -> list[str]:
        """The names of its processors."""
        return [processor.name for processor in self.processors]


class Router:
    """Knows for each event type the processors that want it; aliases count as the real type."""

    def __init__(self, processors: Mapping[str, type[Processor]]) -> None:
        self._wants = [(processor, matching(processor.patterns())) for processor in processors.values()]
        self.wanting = lru_cache(maxsize=1_000)(self._wanting)
        self._keys = lru_cache(maxsize=1_000)(self._find_keys)

    def _wanting(self, kind: str) -> tuple[type[Processor], ...]:
        return tuple(processor for processor, wants in self._wants if wants(kind))

    def _find_keys(self, kind: str) -> list[tuple[type[Processor], str]]:
        """Who wants a type, each with what its messages are grouped by: its queue, where it shares them.

        Nobody's contents are read for processors alone that need none.
        """
        takers = self.wanting(kind)
        read = {one.queue for one in takers if shares(one) and one.reads_contents}
        return [(one, one.queue if shares(one) and one.queue in read else one.task_name()) for one in takers]

    def batches(self, rows: Iterable[tuple[int, str]], *, without: Collection[str] = ()) -> Iterator[Batch]:
        """(position, type) rows in order, as batches for the processors that want them, order kept.

        The processors of a queue share messages where they can: a worker then reads an event once for all of them, in
        one transaction. Each message names them, since a release may have others. Those ``without`` get nothing.
        """
        groups: dict[str, tuple[dict[type[Processor], None], list[int]]] = {}
        for position, kind in rows:
            for processor, key in self._keys(kind):
                if processor.name not in without:
                    members, positions = groups.setdefault(key, ({}, []))
                    members[processor] = None
                    if positions[-1:] != [position]:
                        positions.append(position)
        for members, positions in groups.values():
            size = min(processor.batch_size for processor in members)
            # Those that take the most at a time meet others at the same rows most often: they lock them last.
            ordered = sorted(members, key=lambda one: (one.batch_size, one.name))
            yield from _cut(tuple(ordered), positions, size)

    def unrouted(self, rows: Iterable[tuple[int, str]]) -> dict[str, tuple[int, int]]:
        """The types that no processor wants the contents of: the number of events, and the last position."""
        passed: dict[str, tuple[int, int]] = {}
        for position, kind in rows:
            if not any(processor.reads_contents for processor in self.wanting(kind)):
                passed[kind] = (passed.get(kind, (0, 0))[0] + 1, position)
        return passed


def shares(processor: type[Processor]) -> bool:
    """Whether it shares messages with others of its queue: those have their effects in the same database."""
    takes_part = processor.shares_transactions and processor.batch_size >= SMALLEST_SHARE
    return takes_part and SHARED.get(processor.queue) == processor.database


def batches(processor: type[Processor], positions: Sequence[int]) -> list[Batch]:
    """Positions for a processor alone, in batches of at most its ``batch_size``."""
    return list(_cut((processor,), positions, processor.batch_size))


def apart(processors: Iterable[type[Processor]], rows: Sequence[tuple[int, str]]) -> list[Batch]:
    """(position, type) rows in order, as batches for each of these processors alone."""
    return [
        batch
        for processor in processors
        for batch in batches(processor, [at for at, kind in rows if wanting(processor)(kind)])
    ]


def _cut(processors: tuple[type[Processor], ...], positions: Sequence[int], size: int) -> Iterator[Batch]:
    for start in range(0, len(positions), size):
        yield Batch(processors, tuple(positions[start : start + size]))


def wanting(processor: type[Processor]) -> Callable[[str], bool]:
    """Tells for an event type whether a processor wants it."""
    return matching(processor.patterns())


def matching(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Tells for an event type whether one of these patterns matches it; an alias counts as the real type."""
    pattern = _compiled(tuple(patterns))

    def matches(kind: str) -> bool:
        with suppress(InvalidEvent):  # a type that the catalogue does not know may still match a pattern
            kind = canonical_type(kind)
        return pattern.fullmatch(kind) is not None

    return matches


@lru_cache(maxsize=1_000)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(pattern_regex, patterns)) or "(?!)")


def pattern_regex(pattern: str) -> str:
    """``*`` is one segment or a part of one, ``**`` any number of segments, none included."""
    parts = []
    for segment in pattern.split("."):
        if segment == "**":
            parts.append("**")
        else:
            parts.append(re.escape(segment).replace(r"\*", r"[^.]*" if segment != "*" else r"[^.]+"))
    text = r"\.".join(parts)
    text = text.replace(r"\.**", r"(?:\.[^.]+)*").replace(r"**\.", r"(?:[^.]+\.)*")
    return f"(?:{text.replace('**', '.*')})"
