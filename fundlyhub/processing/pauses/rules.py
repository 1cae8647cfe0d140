"""Decides when a processor pauses itself, which failures count, and how long it waits between two probes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fundlyhub.errors import InvalidEvent, OutcomeUnknown, Permanent, Snooze
from fundlyhub.processing.outcome import DeliveryLimit, WorkerLost

Kind: TypeAlias = Literal["burst", "by hand"]
"""What paused a processor: many failures alike, or a person."""

WINDOW = 60.0
"""Seconds within which failures are one burst."""
SUCCESS_SHARE = 0.05
"""Of a burst that pauses its processor, at most this share of events succeeded meanwhile."""
FIRST_PROBE, LONGEST_PROBE = 5.0, 60.0
"""Seconds until the first probe, doubled with each; a release that is rolled back is found within the longest."""
PROBED = 5
"""Events of one probe."""

# These are about one event, its worker or a wait that was asked for, not about the handler: with Permanent the handler
# itself rejects an event.
_OF_THE_EVENT = (DeliveryLimit, InvalidEvent, OutcomeUnknown, Permanent, Snooze, WorkerLost)


@dataclass(frozen=True, slots=True)
class Burst:
    """Events of one processor that failed alike within the window, and events that succeeded since its first one."""

    failed: int
    succeeded: int


def speaks_of_the_handler(error: BaseException) -> bool:
    """Whether a failure may be the processor's own, or that of something that it calls."""
    return not isinstance(error, _OF_THE_EVENT)


def is_burst(burst: Burst, pause_after: int | None) -> bool:
    """Whether a burst pauses its processor: enough failures, and almost no successes."""
    if pause_after is None or burst.failed < pause_after:
        return False
    return burst.succeeded <= SUCCESS_SHARE * burst.failed


def probe_wait(probes: int) -> float:
    """Seconds to wait after this number of probes."""
    return min(LONGEST_PROBE, FIRST_PROBE * 2.0 ** min(probes, 16))
