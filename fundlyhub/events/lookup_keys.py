"""The keys by which events are looked up: digests of 64 bits, so that the table holds numbers and nothing else.

Two values hardly ever share a digest. A reader compares the events of the log, too.
"""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

from fundlyhub.events.log import LONGEST_AGGREGATE_ID


def aggregate(id: str) -> int:
    """The key of the events about the thing with this id, of whatever kind it is."""
    return _digest(b"aggregate", id[:LONGEST_AGGREGATE_ID].encode())


def correlation(id: UUID) -> int:
    """The key of the events of this request or job."""
    return _digest(b"correlation", id.bytes)


def causation(id: UUID) -> int:
    """The key of the events that this event has caused."""
    return _digest(b"causation", id.bytes)


def _digest(kind: bytes, value: bytes) -> int:
    return int.from_bytes(blake2b(value, digest_size=8, person=kind).digest(), signed=True)
