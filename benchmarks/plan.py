"""What a run measures and how much of it: the short plan for every day, and the full one that is published."""

from __future__ import annotations

from dataclasses import dataclass

MEASURES = (
    "drain", "latency", "hop", "publishing", "relay", "mail", "batches", "idle", "rebuild", "processes", "whole",
    "whole_latency", "whole_costs", "held", "growth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes in events, times in seconds."""

    events: int = 100_000
    """Of a drain; a peer gets a share of them, see ``Row.scale``."""
    rounds: int = 1
    measures: tuple[str, ...] = tuple(name for name in MEASURES if name not in ("whole_costs", "held", "growth"))
    rows: tuple[str, ...] = ()
    """Keys of rows; none is all of them."""
    rates: tuple[int, ...] = (50, 5_000)
    """Events a second at which latency is measured."""
    slowest: int = 500
    """Rates above this one are for ours with one processor alone: no peer keeps up."""
    latency_seconds: float = 8.0
    publishing: int = 2_000
    mails: int = 1_000
    whole: int = 4_000
    """Events of the whole system; see ``Whole.scale``."""
    whole_costs: int = 5_000
    """Events of which the costs are told by processor."""
    whole_rates: tuple[int, ...] = (50,)
    """Events a second at which its latency is measured."""
    batches: int = 20_000
    idle_seconds: float = 15.0
    rebuild_events: int = 50_000
    rebuild_rate: int = 500
    """Events a second that are published beside a rebuild."""
    rebuild_seconds: float = 5.0
    held_seconds: float = 20.0
    held_rate: int = 5_000
    held_events: int = 20_000
    growth_small: int = 100_000
    growth_large: int = 500_000


SHORT = Plan()
"""Ten minutes at most on two cores."""
FULL = Plan(
    events=400_000,
    rounds=3,
    measures=MEASURES,
    rates=(50, 500, 5_000),
    latency_seconds=10.0,
    publishing=6_000,
    mails=3_000,
    whole=40_000,
    whole_rates=(50, 500),
    batches=60_000,
    idle_seconds=60.0,
    rebuild_events=300_000,
    rebuild_seconds=10.0,
    held_seconds=600.0,
    held_events=100_000,
    growth_large=10_000_000,
)
"""An hour."""
