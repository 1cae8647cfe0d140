"""How a processor stands: whether it runs, and if not, since when, why and by whom; for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fundlyhub.processing.pauses.store import Pause


@dataclass(frozen=True, slots=True)
class Standing:
    """A processor and its pause. ``queue`` is None for one of another release; the rest is None for one that runs."""

    name: str
    queue: str | None
    state: Literal["running", "paused by hand", "paused itself"]
    since: datetime | None = None
    who: str | None = None
    reason: str | None = None
    until: datetime | None = None
    failed: int | None = None
    fingerprint: str | None = None
    probes: int | None = None
    next_probe_at: datetime | None = None


def standing(name: str, queue: str | None, pause: Pause | None) -> Standing:
    """How a processor of this name stands."""
    if pause is None:
        return Standing(name, queue, "running")
    return Standing(
        name, queue, "paused by hand" if pause.kind == "by hand" else "paused itself", pause.since, pause.who,
        pause.reason, pause.until, pause.failed, pause.fingerprint, pause.probes, pause.probe_at,
    )  # fmt: skip
