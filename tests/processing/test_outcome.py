"""What becomes of an event, decided from the error and the attempts: tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from fundlyhub.errors import (
    InvalidEvent,
    OutcomeUnknown,
    Permanent,
    Snooze,
    Transient,
    UnknownEventType,
    UnknownVersion,
)
from fundlyhub.processing.outcome import (
    Dead,
    DeliveryLimit,
    History,
    NoWorker,
    Retry,
    Snoozed,
    WorkerLost,
    backoff,
    decide,
)
from fundlyhub.processing.processor import Processor
from tests.support.processors import TestCountProcessor

SNOOZES = [Snooze("x", seconds=5), UnknownVersion("x", newer=True), UnknownEventType("x"), NoWorker()]
NOW = datetime(2026, 1, 31, tzinfo=UTC)


class Impatient(TestCountProcessor, register=False):
    max_attempts = 3
    backoff = 2.0
    backoff_limit = 10.0
    snooze_limit = 3600.0


def outcome(error: BaseException, attempts: int = 1, age: float = 0.0, processor: type[Processor] = Impatient) -> str:
    history = History(attempts=attempts, first_seen=NOW - timedelta(seconds=age))
    return type(decide(error, history, processor, now=NOW, rng=random.Random(1))).__name__


@pytest.mark.parametrize(
    ("error", "attempts", "expected"),
    [
        (Transient("x"), 1, "Retry"),
        (Transient("x"), 2, "Retry"),
        (Transient("x"), 3, "Dead"),
        (KeyError("x"), 1, "Retry"),
        (KeyError("x"), 3, "Dead"),
        (Permanent("x"), 1, "Dead"),
        (InvalidEvent("x"), 1, "Dead"),
        (UnknownEventType("x"), 1, "Snoozed"),
        (UnknownVersion("x", newer=False), 1, "Dead"),
        (UnknownVersion("x", newer=True), 1, "Snoozed"),
        (OutcomeUnknown("x"), 1, "Dead"),
        (WorkerLost("x"), 1, "Dead"),
        (DeliveryLimit("x"), 1, "Dead"),
        (NoWorker(), 99, "Snoozed"),
        (Snooze("x", seconds=5), 99, "Snoozed"),
    ],
)
def test_each_error_has_its_outcome(error: BaseException, attempts: int, expected: str) -> None:
    assert outcome(error, attempts) == expected


@pytest.mark.parametrize("error", SNOOZES)
def test_a_snooze_ends_at_its_greatest_age(error: BaseException) -> None:
    assert outcome(error, age=3599) == "Snoozed"
    assert outcome(error, age=3600) == "Dead"


def test_a_snooze_waits_as_long_as_it_says_and_never_less_than_a_second() -> None:
    def wait(seconds: float) -> object:
        return decide(Snooze("x", seconds=seconds), History(0, NOW), Impatient, now=NOW, rng=random.Random(1))

    assert wait(42.0) == Snoozed(42.0)
    assert wait(0.01) == Snoozed(1.0)


@pytest.mark.parametrize(("attempts", "ceiling"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (500, 10.0)])
def test_backoff_doubles_up_to_its_limit_with_full_jitter(attempts: int, ceiling: float) -> None:
    rng = random.Random(attempts)
    waits = [backoff(attempts, Impatient, rng) for _ in range(2_000)]
    assert min(waits) >= 1.0
    assert ceiling * 0.95 < max(waits) <= ceiling
    # Full jitter: the lower half is as likely as the upper one.
    assert 0.4 < sum(wait <= ceiling / 2 for wait in waits) / len(waits) < 0.6


def test_the_last_attempt_but_one_still_gets_a_retry() -> None:
    assert isinstance(decide(KeyError(), History(2, NOW), Impatient, now=NOW, rng=random.Random(1)), Retry)
    assert isinstance(decide(KeyError(), History(3, NOW), Impatient, now=NOW, rng=random.Random(1)), Dead)
