"""Paused processors: their events wait, spend no attempt, and are sent when the pause is over.

A person pauses a processor, or a burst of the same failure does: it is a circuit breaker for handlers. The state is one
table of the Events DB, which every worker reads together with the events of a batch.
"""

from fundlyhub.processing.pauses.bursts import Hold, notice
from fundlyhub.processing.pauses.history import Entry, history, registered
from fundlyhub.processing.pauses.rules import Burst, Kind, is_burst, probe_wait
from fundlyhub.processing.pauses.standing import Standing, standing
from fundlyhub.processing.pauses.store import (
    IN_FORCE,
    Pause,
    end,
    end_by_hand,
    in_force,
    pause_by_hand,
    paused,
    remove,
    start_probe,
    whole_table,
)

__all__ = [
    "IN_FORCE",
    "Burst",
    "Entry",
    "Hold",
    "Kind",
    "Pause",
    "Standing",
    "end",
    "end_by_hand",
    "history",
    "in_force",
    "is_burst",
    "notice",
    "pause_by_hand",
    "paused",
    "probe_wait",
    "registered",
    "remove",
    "standing",
    "start_probe",
    "whole_table",
]
