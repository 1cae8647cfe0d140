"""The state of a message in the ledger, and the next step for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

STATES = ("queued", "sending", "sent", "delivered", "skipped", "held", "failed", "unknown")
Step = Literal["send", "wait", "settled", "failed", "unknown"]
"""Send the message, let it wait, or leave it settled, failed or unknown."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the ledger: its event, its state, and whether its provider has accepted it.

    ``wait`` is the number of seconds until it may be sent, or until the lease of the worker that sends it ends.
    """

    id: UUID
    event_id: UUID
    state: str
    accepted: bool
    changed_at: datetime
    wait: float = 0.0


def next_step(row: Row, *, again: bool, replayed_after: datetime | None) -> Step:
    """The next step for a message; ``again`` is the catalogue's rule for calls with an unknown outcome."""
    replayed = replayed_after is not None and row.changed_at <= replayed_after
    match row.state:
        case "queued" | "sending" if row.wait > 0:
            return "wait"
        case "queued":
            return "send"
        case "sending":
            return "send" if again else "unknown"
        case "failed" if row.accepted:  # it bounced after it was accepted: that is no fault of the event
            return "settled"
        case "failed":
            return "send" if replayed else "failed"
        case "unknown":
            return "send" if replayed else "unknown"
        case _:
            return "settled"
