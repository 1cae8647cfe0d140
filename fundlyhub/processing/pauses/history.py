"""What operators ask about pauses: which processors there are, and when each was paused, by whom and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fundlyhub.processing.pauses.rules import Kind

_REGISTERED = "SELECT name FROM events.processors ORDER BY name"
_HISTORY = """
    SELECT at, action, kind, who, account, role, details FROM events.processor_pause_audit
    WHERE processor = %(processor)s ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A processor was paused or resumed: when, how, who (as given, and really), and why."""

    at: datetime
    action: str
    kind: Kind
    who: str
    account: str | None
    role: str | None
    details: str | None


def registered(db: Connection, ours: Iterable[str]) -> list[str]:
    """The processors of this release, and those that another release has registered, by name."""
    return sorted({*ours, *db.exec_driver_sql(_REGISTERED).scalars()})


def history(db: Connection, processor: str, *, limit: int) -> list[Entry]:
    """The pauses of a processor, the newest first."""
    return [Entry(*row) for row in db.exec_driver_sql(_HISTORY, {"processor": processor, "limit": limit})]
