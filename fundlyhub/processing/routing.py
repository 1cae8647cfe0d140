"""Routes event types to the processors that want them, and divides positions into batches. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from fundlyhub.errors import InvalidEvent
from fundlyhub.events import canonical_type
from fundlyhub.processing.processor import Processor, Queue


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions that one message carries for one processor."""

    processor: type[Processor]
    positions: tuple[int, ...]

    @property
    def task(self) -> str:
        """The name of the task that runs it."""
        return self.processor.task_name()

    @property
    def queue(self) -> Queue:
        """The queue that it goes to."""
        return self.processor.queue


class Router:
    """Knows for each event type the processors that want it; aliases count as the real type."""

    def __init__(self, processors: Mapping[str, type[Processor]]) -> None:
        self._wants = [(processor, matching(processor.patterns())) for processor in processors.values()]
        self.wanting = lru_cache(maxsize=1_000)(self._wanting)

    def _wanting(self, kind: str) -> tuple[type[Processor], ...]:
        return tuple(processor for processor, wants in self._wants if wants(kind))

    def batches(self, rows: Iterable[tuple[int, str]]) -> Iterator[Batch]:
        """(position, type) rows in order, as one or more batches per processor, order kept."""
        groups: dict[type[Processor], list[int]] = {}
        for position, kind in rows:
            for processor in self.wanting(kind):
                groups.setdefault(processor, []).append(position)
        for processor, positions in groups.items():
            yield from batches(processor, positions)

    def unrouted(self, rows: Iterable[tuple[int, str]]) -> dict[str, tuple[int, int]]:
        """The types that no processor wants the contents of: the number of events, and the last position."""
        passed: dict[str, tuple[int, int]] = {}
        for position, kind in rows:
            if not any(processor.reads_contents for processor in self.wanting(kind)):
                passed[kind] = (passed.get(kind, (0, 0))[0] + 1, position)
        return passed


def batches(processor: type[Processor], positions: Sequence[int]) -> list[Batch]:
    """Positions for a processor, in batches of at most its ``batch_size``."""
    size = processor.batch_size
    return [Batch(processor, tuple(positions[start : start + size])) for start in range(0, len(positions), size)]


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
