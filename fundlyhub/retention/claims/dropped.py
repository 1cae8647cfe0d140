"""Up to where claims have been dropped, for those that must not ask for more: replays, new processors, verification."""

from __future__ import annotations

from collections.abc import Iterable

from fundlyhub.database import get_engine
from fundlyhub.processing.claims import last_dropped
from fundlyhub.settings import Branch


def last_dropped_of(branches: Iterable[Branch]) -> int:
    """The last position at which claims have been dropped in any of these databases; 0 when none have."""
    found = [0]
    for branch in set(branches):
        with get_engine(branch).connect() as db:
            found.append(last_dropped(db))
    return max(found)
