"""A dead letter as lists show it, its states, and the actions in its audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from fundlyhub.database.audited import Audit

State = Literal["open", "replayed", "discarded", "resolved"]
"""``open`` rests until a person decides; ``replayed`` is under way again; ``discarded`` rests for good, unless it is
restored; ``resolved`` was replayed, and its event is applied."""

Action = Literal[
    "failed", "replayed", "applied", "skipped", "edited", "edit undone", "discarded", "restored", "imported"
]
"""What the audit tells; ``skipped`` is a replay that found its event applied before."""

WORKER = "worker"
"""The name in the audit for what no person did."""

AUDIT = Audit("events.dead_letter_audit", "letter_id")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as lists show it. Its texts are our own: no value of the event is in them."""

    id: int
    processor: str
    position: int
    event_id: UUID
    type: str
    error: str
    message: str
    fingerprint: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    state: State
    aggregate_type: str | None
    aggregate_id: str | None
    changed_at: datetime
    corrected: bool
