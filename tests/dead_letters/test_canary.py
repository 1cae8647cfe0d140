"""1, then 10, then all: the waves of a replay, and what stops it."""

from __future__ import annotations

import pytest

from fundlyhub.processing.dead_letters import End, Terms
from fundlyhub.processing.dead_letters.canary import portions, waves, why_stop


@pytest.mark.parametrize(
    ("letters", "terms", "sizes"),
    [
        (0, Terms(), []),
        (1, Terms(), [1]),
        (2, Terms(), [1, 1]),
        (11, Terms(), [1, 10]),
        (12, Terms(), [1, 10, 1]),
        (1_200, Terms(), [1, 10, 500, 500, 189]),
        (1_200, Terms(wait=False), [500, 500, 200]),
        (40, Terms(rate=0.5), [1, 10, 10, 10, 9]),
        (60, Terms(rate=2.5), [1, 10, 25, 24]),
    ],
)
def test_waves(letters: int, terms: Terms, sizes: list[int]) -> None:
    numbers = list(range(letters))
    found = list(waves(numbers, terms))
    assert [len(wave) for wave in found] == sizes
    assert [number for wave in found for number in wave] == numbers


@pytest.mark.parametrize(
    ("wave", "rate", "sizes"), [(0, None, []), (10, None, [10]), (10, 4, [4, 4, 2]), (3, 0.2, [1, 1, 1])]
)
def test_a_rate_cuts_a_wave_into_seconds(wave: int, rate: float | None, sizes: list[int]) -> None:
    assert [len(portion) for portion in portions(list(range(wave)), rate)] == sizes


@pytest.mark.parametrize(
    ("applied", "skipped", "failed", "discarded", "pending", "said"),
    [
        (1, 0, 0, 0, 0, None),
        (0, 0, 1, 0, 0, "1 of 1 failed again"),
        (9, 0, 1, 0, 0, None),
        (8, 0, 2, 0, 0, "2 of 10 failed again, and at most 10% may"),
        (0, 9, 1, 0, 0, None),
        (0, 0, 0, 3, 0, None),
        (0, 0, 1, 9, 0, "1 of 1 failed again"),
        (9, 0, 0, 0, 1, "1 of 10 had no result after 120 s"),
        (5, 0, 5, 0, 1, "5 of 10 failed again"),
    ],
)
def test_what_stops_it(applied: int, skipped: int, failed: int, discarded: int, pending: int, said: str | None) -> None:
    counts: dict[End, int] = {
        "applied": applied, "skipped": skipped, "failed": failed, "discarded": discarded, "pending": pending
    }  # fmt: skip
    why = why_stop([end for end, times in counts.items() for _ in range(times)], Terms())
    assert why is None if said is None else why is not None and said in why
