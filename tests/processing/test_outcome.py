"""What becomes of an event, decided from the error and the attempts: tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.errors import (
    InvalidEvent,
    OutcomeUnknown,
    Permanent,
    Snooze,
    Transient,
    UnknownEventType,
    UnknownVersion,
)
from fundlyhub.processing import registry
from fundlyhub.processing.attempts import EARLY
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
    longest_life,
    shortest_life,
)
from fundlyhub.processing.processor import NotificationProcessor, Processor, ProjectionProcessor, WriteProcessor
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
def test_backoff_doubles_up_to_its_limit_with_equal_jitter(attempts: int, ceiling: float) -> None:
    rng = random.Random(attempts)
    waits = [backoff(attempts, Impatient, rng) for _ in range(2_000)]
    assert ceiling / 2 <= min(waits) < ceiling * 0.55
    assert ceiling * 0.95 < max(waits) <= ceiling
    # Equal jitter: of the upper half, either half is as likely.
    assert 0.4 < sum(wait <= ceiling * 0.75 for wait in waits) / len(waits) < 0.6


class Lowest(random.Random):
    """Each draw as low as it can be."""

    def uniform(self, a: float, b: float) -> float:
        return a


def life(processor: type[Processor], error: BaseException, rng: random.Random) -> float:
    """Seconds from the first failure until an event that always fails is dead, each retry as early as it may come."""
    elapsed, attempts = 0.0, 1
    while isinstance(end := decide(error, History(attempts, NOW), processor, now=NOW, rng=rng), Retry):
        elapsed += max(0.0, end.seconds - EARLY)
        attempts += 1
    assert isinstance(end, Dead)
    return elapsed


@pytest.mark.parametrize("base", [WriteProcessor, ProjectionProcessor, NotificationProcessor])
def test_with_the_defaults_an_outage_of_an_hour_costs_no_dead_letter_however_the_waits_are_drawn(
    base: type[Processor],
) -> None:
    assert life(base, KeyError(), Lowest()) > 3_600
    assert life(base, Transient("x"), random.Random(1)) > 3_600
    assert shortest_life(base) == 3_723
    assert longest_life(base) == 7_446


def test_every_processor_of_ours_outlives_an_hour() -> None:
    ours = [cls for cls in registry.processors().values() if cls.__module__.startswith("fundlyhub.")]
    assert ours
    assert [cls.name for cls in ours if life(cls, KeyError(), Lowest()) <= 3_600] == []


@pytest.mark.parametrize("error", [Permanent("x"), InvalidEvent("x"), OutcomeUnknown("x"), WorkerLost("x")])
def test_what_no_retry_can_mend_waits_for_none(error: BaseException) -> None:
    assert life(ProjectionProcessor, error, random.Random(1)) == 0


def test_the_last_attempt_but_one_still_gets_a_retry() -> None:
    assert isinstance(decide(KeyError(), History(2, NOW), Impatient, now=NOW, rng=random.Random(1)), Retry)
    assert isinstance(decide(KeyError(), History(3, NOW), Impatient, now=NOW, rng=random.Random(1)), Dead)
