"""An entry in quarantine as lists show it, its states, and its audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from fundlyhub.database.audited import Audit

State = Literal["open", "released", "discarded"]
"""``open`` rests until a person decides; ``released`` is an event in the log now; ``discarded`` rests for good."""

AUDIT = Audit("events.quarantine_audit", "quarantine_id")
"""Its actions are quarantined, released, discarded, and refused: a release that failed again."""

INGEST = "ingest"
"""The name in the audit for what no person did."""


@dataclass(frozen=True, slots=True)
class Held:
    """An entry in quarantine as lists show it. Its texts are our own: no value of a field is in them.

    ``type`` is what the entry calls itself, where that can be told; ``event_id`` is the event that it became.
    """

    id: int
    stream: str
    entry_id: str
    type: str | None
    reason: str
    state: State
    event_id: UUID | None
    received_at: datetime
    changed_at: datetime
