"""Divides a replay into waves of 1, then 10, then all, and decides when it stops. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

End = Literal["applied", "skipped", "failed", "discarded", "pending"]
"""What a replayed letter came to: applied now, found applied before, dead again, called back, or still under way."""

CANARIES = (1, 10)
"""Letters in the first waves."""
WAVE = 500
"""Letters in each wave after them, at most: this many are in progress when the next decision is made."""
SECONDS_IN_A_WAVE = 10
"""A rate makes waves smaller, so that a look is taken at least so often."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to replay. ``rate`` is in letters a second, ``timeout`` the seconds that a wave's results are awaited.

    Without ``wait`` there are no canaries, since no results are awaited.
    """

    rate: float | None = None
    max_failures: float = 0.1
    """The share of a wave that may fail."""
    timeout: float = 120.0
    wait: bool = True


def waves(letters: Sequence[int], terms: Terms) -> Iterator[Sequence[int]]:
    """Letters in waves, in their order."""
    start = 0
    for size in CANARIES if terms.wait else ():
        if start < len(letters):
            yield letters[start : start + size]
            start += size
    size = WAVE if terms.rate is None else max(CANARIES[-1], min(WAVE, int(terms.rate * SECONDS_IN_A_WAVE)))
    while start < len(letters):
        yield letters[start : start + size]
        start += size


def portions(wave: Sequence[int], rate: float | None) -> Iterator[Sequence[int]]:
    """A wave in pieces of one second's letters."""
    size = len(wave) if rate is None else max(1, int(rate))
    return (wave[start : start + size] for start in range(0, len(wave), size or 1))


def why_stop(ends: Sequence[End], terms: Terms) -> str | None:
    """The reason not to go on after a wave that came to this, if there is one."""
    failed, pending = ends.count("failed"), ends.count("pending")
    settled = failed + ends.count("applied") + ends.count("skipped")
    if settled and failed / settled > terms.max_failures:
        return f"{failed} of {settled} failed again, and at most {terms.max_failures:.0%} may"
    if pending:
        return f"{pending} of {len(ends)} had no result after {terms.timeout:g} s"
    return None
