"""Counts the dead letters of a state by fault, at once and from an index alone, for a page that keeps the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.processing.dead_letters.finding import Filter, Group
from fundlyhub.processing.dead_letters.model import State

_PARTS = """
    SELECT fingerprint, type, count(*), min(first_failed_at), max(last_failed_at), max(id),
           count(*) FILTER (WHERE last_failed_at >= clock_timestamp() - interval '1 hour')
    FROM (SELECT fingerprint, type, id, first_failed_at, last_failed_at FROM events.dead_letters
          WHERE state = %(state)s LIMIT %(most)s) AS counted
    GROUP BY fingerprint, type
"""
_SAMPLES = """
    SELECT id, processor, type, error_class, error_message FROM events.dead_letters WHERE id = ANY (%(ids)s::bigint[])
"""
NAMED = 2_000
"""Faults at most, the largest ones, whose samples are read."""


class Part(NamedTuple):
    """Letters of one fault and one type of events; ``newest`` is the last one, ``recent`` those of the last hour."""

    fingerprint: str
    type: str
    letters: int
    first: datetime
    last: datetime
    newest: int
    recent: int


class Sample(NamedTuple):
    """What the newest letter of a fault says. Processor and class of the error are the same in all its letters."""

    id: int
    processor: str
    type: str
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a state as they were counted: parts and sample of each; ``is_all``: these are all, in full."""

    parts: Mapping[str, Sequence[Part]]
    samples: Mapping[str, Sample]
    is_all: bool

    def groups(self, wanted: Filter) -> list[Group]:
        """Those that a filter means by processor, type, error and fingerprint, the largest first."""
        found = []
        for fingerprint, sample in self.samples.items():
            parts = [part for part in self.parts[fingerprint] if wanted.type in (None, part.type)]
            asked = (
                (wanted.processor, sample.processor),
                (wanted.error, sample.error),
                (wanted.fingerprint, fingerprint),
            )
            if parts and all(one in (None, other) for one, other in asked):
                found.append(_group(parts, sample))
        return sorted(found, key=lambda one: (-one.letters, one.fingerprint))


def count_faults(db: Connection, state: State, *, most: int, known: Faults | None = None) -> Faults:
    """Count the letters of a state by fault, ``most`` at most; samples that are ``known`` are not read again."""
    parts: dict[str, list[Part]] = {}
    for row in db.exec_driver_sql(_PARTS, {"state": state, "most": most}):
        part = Part(*row)
        parts.setdefault(part.fingerprint, []).append(part)
    sizes = {fingerprint: sum(part.letters for part in some) for fingerprint, some in parts.items()}
    named = sorted(sizes, key=lambda fingerprint: -sizes[fingerprint])[:NAMED]
    newest = {fingerprint: max(part.newest for part in parts[fingerprint]) for fingerprint in named}
    samples = _samples(db, newest, known.samples if known else {})
    return Faults(parts, samples, len(samples) == len(parts) and sum(sizes.values()) < most)


def _samples(db: Connection, newest: Mapping[str, int], known: Mapping[str, Sample]) -> dict[str, Sample]:
    kept = {of: known[of] for of, id in newest.items() if of in known and known[of].id == id}
    ids = [id for fingerprint, id in newest.items() if fingerprint not in kept]
    read = {row[0]: Sample(*row) for row in db.exec_driver_sql(_SAMPLES, {"ids": ids})} if ids else {}
    return kept | {fingerprint: read[id] for fingerprint, id in newest.items() if id in read}


def _group(parts: Sequence[Part], sample: Sample) -> Group:
    newest = max(parts, key=lambda part: part.newest)
    return Group(
        newest.fingerprint, sum(part.letters for part in parts), sample.processor, newest.type, sample.error,
        sample.message, min(part.first for part in parts), max(part.last for part in parts), newest.newest,
        sum(part.recent for part in parts),
    )  # fmt: skip
