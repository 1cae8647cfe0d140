"""A timeline to scale: where on it each of some moments stands, with long gaps folded. Pure.

A gap is folded where it is much longer than all shorter ones together: what happened within a second stays apart to the
eye, whether the next thing came a minute later or a month.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH = 1_000.0
"""Units of the whole."""
FOLD = 60.0
"""Units of a folded gap."""
LONG, LEAST = 4.0, 1.0
"""A gap is folded if it is so many times as long as all shorter ones together, and takes so many seconds."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A gap that is not to scale: where its middle stands, and its seconds."""

    x: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """``x`` is where each moment stands, from 0 to WIDTH."""

    x: Mapping[datetime, float]
    folds: Sequence[Fold]
    seconds: float
    """From the first moment to the last."""


def timeline(moments: Sequence[datetime]) -> Timeline | None:
    """The timeline of these moments; None where there are not two different ones."""
    known = sorted(set(moments))
    if len(known) < 2:
        return None
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(known)]
    longest = _longest_to_scale(gaps)
    to_scale = sum(gap for gap in gaps if gap <= longest)
    number = sum(gap > longest for gap in gaps)
    unit = (WIDTH - number * FOLD) / to_scale
    at, x, folds = 0.0, {known[0]: 0.0}, []
    for moment, gap in zip(known[1:], gaps, strict=True):
        if gap > longest:
            folds.append(Fold(at + FOLD / 2, gap))
            at += FOLD
        else:
            at += gap * unit
        x[moment] = min(at, WIDTH)
    return Timeline(x, folds, sum(gaps))


def _longest_to_scale(gaps: Sequence[float]) -> float:
    """The longest gap that is drawn to scale. At most ten are folded, so that they leave room for the rest."""
    shorter, longest = 0.0, 0.0
    ordered = sorted(gaps)
    for number, gap in enumerate(ordered):
        if shorter and gap > max(LONG * shorter, LEAST) and len(ordered) - number <= 10:
            break
        shorter, longest = shorter + gap, gap
    return longest
