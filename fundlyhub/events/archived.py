"""Archived events: their ids, which stay known to publishing, and the archive files that have their rows.

The id of an archived event stays in ``event_ids``, where publishing looks too. In every snapshot an id is in
``events``, in ``event_ids``, or in both: see retention/archives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fundlyhub.events.sessions import Statement, SyncSession, execute

_AWAY = Statement("SELECT low, high, types, file FROM events.archives WHERE restored_at IS NULL ORDER BY low, high")


class Away(NamedTuple):
    """An archive that is not restored: first and last position, number of events by type, and path of its file."""

    low: int
    high: int
    types: Mapping[str, int]
    file: str


def away(db: SyncSession) -> list[Away]:
    """The archives that are not restored, in order. ``db`` is connected to the Events DB."""
    return [Away(*row) for row in execute(db, _AWAY, {})]


def last_away(db: SyncSession) -> int:
    """The last position of any archive that is not restored; 0 when the log is complete."""
    return max((one.high for one in away(db)), default=0)


def among(positions: Iterable[int], archives: Iterable[Away]) -> set[int]:
    """The positions that lie in an archive, so that the log may not have them. Pure."""
    ranges = list(archives)
    return {position for position in positions if any(one.low <= position <= one.high for one in ranges)}


def absence(db: SyncSession, position: int) -> str:
    """Why an event is not in the log, as the end of a sentence."""
    found = [one for one in away(db) if one.low <= position <= one.high]
    return f"is archived: `fundlyhub events restore {files_of(found)}` brings it back" if found else "is not in the log"


def files_of(archives: Iterable[Away]) -> str:
    """The files to restore, for a message."""
    return " ".join(one.file for one in archives)
