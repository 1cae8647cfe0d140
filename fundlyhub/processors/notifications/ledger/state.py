"""The state of a message in the ledger, and the next step for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Row:
    """Where a message stands, whose event sends it, and whether its provider has accepted it.

    ``wait`` and ``lease`` are seconds left.
    """

    id: UUID
    event_id: UUID
    state: str
    accepted: bool
    changed_at: datetime
    wait: float | None
    lease: float | None


@dataclass(frozen=True, slots=True)
class Next:
    """What a run does about a message: send it, wait so many seconds, or leave it settled, failed or unknown."""

    step: Literal["send", "wait", "settled", "failed", "unknown"]
    seconds: float = 0.0


def next_step(row: Row, *, again: bool, replayed_after: datetime | None) -> Next:
    """What is to be done about a message; ``again`` is its template's policy for calls with unknown outcome."""
    replayed = replayed_after is not None and row.changed_at <= replayed_after
    match row.state:
        case "queued" if row.wait is not None and row.wait > 0:
            return Next("wait", row.wait)
        case "queued":
            return Next("send")
        case "sending" if row.lease is not None and row.lease > 0:
            return Next("wait", row.lease)
        case "sending":
            return Next("send" if again else "unknown")
        case "failed" if row.accepted:  # it bounced later, as the provider told us: that is no fault of the event
            return Next("settled")
        case "failed":
            return Next("send" if replayed else "failed")
        case "unknown":
            return Next("send" if replayed else "unknown")
        case _:
            return Next("settled")
