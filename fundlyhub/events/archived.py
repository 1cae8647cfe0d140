"""What was taken out of the log: the ids that are never published again, and the archives that the rows are in.

An id of an archived event stays in ``event_ids``, and publishing looks there. In every snapshot that any transaction
can have, an id is in ``events``, in ``event_ids``, or in both: see retention/archives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fundlyhub.events.sessions import Statement, SyncSession, execute

_AWAY = Statement("SELECT low, high, types, file FROM events.archives WHERE restored_at IS NULL ORDER BY low, high")


class Away(NamedTuple):
    """An archive that is not restored: positions, ends included, its events by type, and where its file was written."""

    low: int
    high: int
    types: Mapping[str, int]
    file: str


def away(db: SyncSession) -> list[Away]:
    """The archives that are not restored, in order. ``db`` is a connection to the Events DB."""
    return [Away(*row) for row in execute(db, _AWAY, {})]


def last_away(db: SyncSession) -> int:
    """The last position up to which events may be missing from the log; 0 when it is whole."""
    return max((one.high for one in away(db)), default=0)


def among(positions: Iterable[int], archives: Iterable[Away]) -> set[int]:
    """Those of these positions that lie in an archive: the log may have them no more. Pure."""
    ranges = list(archives)
    return {position for position in positions if any(one.low <= position <= one.high for one in ranges)}


def absence(db: SyncSession, position: int) -> str:
    """Why an event is not in the log, as the end of a sentence."""
    found = [one for one in away(db) if one.low <= position <= one.high]
    return f"is archived: `fundlyhub events restore {files_of(found)}` brings it back" if found else "is not in the log"


def files_of(archives: Iterable[Away]) -> str:
    """The files to restore, for a message."""
    return " ".join(one.file for one in archives)
