"""One entry of a stream as Redis hands it over: bytes, in order, nothing decided yet."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

NAMESPACE = UUID("5d0e2d8c-53f1-5c3b-9d55-1b6f5a0e7c11")
"""Of the ids of entries that bring none. It must never change: an entry that is read again is the same event."""

MAX_KEPT = 16 * 1024 * 1024
"""Bytes of an entry that are read and kept: a database cannot hold all that Redis can."""

Fields = tuple[tuple[bytes, bytes], ...]
"""Names and values as they came; a name may stand there twice."""


@dataclass(frozen=True, slots=True)
class Entry:
    """``id`` is the one that Redis gave it: milliseconds, a dash, and a number within the millisecond.

    ``length`` is its size where ``fields`` are only the beginning of a large one.
    """

    stream: str
    id: str
    fields: Fields
    length: int | None = None

    @property
    def own_id(self) -> UUID:
        """The id of its event, where it brings none: the same whenever it is read."""
        return uuid5(NAMESPACE, f"{self.stream}\n{self.id}")

    @property
    def milliseconds(self) -> int:
        """When Redis took it, since 1970."""
        return int(self.id.partition("-")[0])

    @property
    def size(self) -> int:
        """Bytes of all its fields, also of those that were not handed over."""
        return self.length or sum(len(name) + len(value) for name, value in self.fields)
