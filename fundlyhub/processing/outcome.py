"""The outcomes of a run, decided in one place from the error and the attempts. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from fundlyhub.database import is_setup_fault
from fundlyhub.errors import InvalidEvent, OutcomeUnknown, Permanent, Snooze, UnknownEventType, UnknownVersion
from fundlyhub.processing.processor import Processor

NEWER_RELEASE_WAIT = 60.0
"""Seconds between two looks at an event of a type or version that this code does not know yet."""
SETUP_WAIT = 60.0
"""Seconds between two looks at an event that waits for what its database lacks, at most."""
NO_WORKER_WAIT = 60.0
"""Seconds until an event that no worker took is sent again."""


@dataclass(frozen=True, slots=True)
class Done:
    """Applied now."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing to do: applied before."""


DONE, SKIPPED = Done(), Skipped()


@dataclass(frozen=True, slots=True)
class Retry:
    """Run again after ``seconds``; an attempt was spent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Run again after ``seconds``; no attempt was spent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up: kept as a dead letter until a person decides."""


Outcome: TypeAlias = Done | Skipped | Retry | Snoozed | Dead


@dataclass(frozen=True, slots=True)
class History:
    """What is known of an event's earlier runs: failures so far, and when it was first seen to fail."""

    attempts: int = 0
    first_seen: datetime | None = None


class WorkerLost(Exception):
    """The event's runs ended when their worker died, or at the hard time limit."""


class DeliveryLimit(Exception):
    """The broker gave up on the event's message: it was delivered too often, and no run of it was ever settled."""


class NoWorker(Snooze):
    """No worker took the event's message: they are older than its processor, or could not read it."""

    def __init__(self) -> None:
        super().__init__("no worker took its message; is one of this release running?", seconds=NO_WORKER_WAIT)


def decide(
    error: BaseException, history: History, processor: type[Processor], *, now: datetime, rng: random.Random
) -> Outcome:
    """The outcome of an event whose run ended with ``error``; ``history`` counts that run too."""
    if isinstance(error, UnknownEventType) or (isinstance(error, UnknownVersion) and error.newer):
        error = Snooze(str(error), seconds=NEWER_RELEASE_WAIT)
    if isinstance(error, Snooze):
        age = now - (history.first_seen or now)
        return Dead() if age >= timedelta(seconds=processor.snooze_limit) else _snoozed(error, processor)
    if is_setup_fault(error):
        return Snoozed(_setup_wait(now - (history.first_seen or now), rng))
    if isinstance(error, (Permanent, InvalidEvent, OutcomeUnknown, WorkerLost, DeliveryLimit)):
        return Dead()
    if history.attempts >= processor.max_attempts:
        return Dead()
    return Retry(backoff(history.attempts, processor, rng))


def _snoozed(error: Snooze, processor: type[Processor]) -> Snoozed:
    """The wait that was asked for, from one second up to the event's greatest age: infinity is no time to wait."""
    return Snoozed(max(1.0, min(error.seconds, processor.snooze_limit)))


def _setup_wait(age: timedelta, rng: random.Random) -> float:
    """Seconds to wait for what a database lacks: as long again as the event has waited, from one second to a minute.

    No attempt is counted that the wait could grow by, and no age ends it: nothing but the mend does.
    """
    ceiling = min(SETUP_WAIT, age.total_seconds())
    return max(1.0, rng.uniform(ceiling / 2, ceiling))


def backoff(attempts: int, processor: type[Processor], rng: random.Random) -> float:
    """Seconds to wait after this number of failures: exponential with equal jitter, at least one second.

    Equal jitter draws from the upper half. With full jitter the sum of all waits has no lower bound worth a promise.
    """
    ceiling = _ceiling(attempts, processor)
    return max(1.0, rng.uniform(ceiling / 2, ceiling))


def shortest_life(processor: type[Processor]) -> float:
    """Seconds that pass at least between an event's first failure and its last attempt."""
    return sum(max(1.0, _ceiling(spent, processor) / 2) for spent in range(1, processor.max_attempts))


def longest_life(processor: type[Processor]) -> float:
    """Seconds of all waits together at most, when each is as long as it can be."""
    return sum(max(1.0, _ceiling(spent, processor)) for spent in range(1, processor.max_attempts))


def _ceiling(attempts: int, processor: type[Processor]) -> float:
    return min(processor.backoff_limit, processor.backoff * 2.0 ** min(attempts - 1, 32))
