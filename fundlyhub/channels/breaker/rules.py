"""The numbers that a circuit breaker goes by, and what follows from them: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from fundlyhub.errors import OutcomeUnknown, Permanent, ServiceRefuses, Transient

BUCKETS = 6
"""Parts of the window; the oldest one falls out as a whole."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, how long it rests, and how it lets calls in again. Times are in seconds."""

    failures: int = 5
    """Failures in a row that open it."""
    window: float = 60.0
    """The time over which the failure rate is taken."""
    minimum: int = 20
    """Calls in the window below which there is no rate."""
    rate: float = 0.5
    """The share of failures in the window that opens it."""
    slow: float = 5.0
    """A call that takes longer than this counts as a failure; what it returns is returned."""
    rest: float = 30.0
    """Time without a call after it opened; doubles with each probe that fails."""
    rest_limit: float = 300.0
    """The longest rest."""
    probe_lease: float = 60.0
    """After this time a probe that was not heard of is taken for lost; must be longer than any call."""
    ramp_step: float = 1.0
    """After it closed, the calls that are let in a second double in such steps."""
    ramp_steps: int = 10
    """Steps after which all calls are let in."""


def failed(error: BaseException | None, seconds: float, rules: Rules) -> bool | None:
    """Whether a call speaks against the service, or for it; None when it says nothing about the service."""
    if isinstance(error, (Transient, OutcomeUnknown, ServiceRefuses)):
        return True
    if error is None or isinstance(error, Permanent):
        return seconds > rules.slow
    return None


def rate_too_high(calls: int, failures: int, rules: Rules) -> bool:
    """Whether so many failures of so many calls in the window open it."""
    return calls >= rules.minimum and failures >= rules.rate * calls


def rest_after(failed_probes: int, rules: Rules) -> float:
    """How long it rests after so many probes have failed since it opened."""
    return min(rules.rest_limit, rules.rest * 2.0 ** min(failed_probes, 32))


def ramp_length(rules: Rules) -> float:
    """How long the ramp is."""
    return rules.ramp_step * rules.ramp_steps


def ramp_step(elapsed: float, rules: Rules) -> int | None:
    """The step of the ramp so long after it closed; None when the ramp is over, or would begin after its own length."""
    return int(max(0.0, elapsed) // rules.ramp_step) if abs(elapsed) < ramp_length(rules) else None


def calls_a_second(step: int) -> int:
    """Calls that all workers together may make a second in a step of the ramp."""
    return 1 << min(step, 32)


def calls_in_step(step: int, rules: Rules) -> int:
    """Calls that all workers together may make in a step of the ramp."""
    return max(1, int(calls_a_second(step) * rules.ramp_step))


def bucket_length(rules: Rules) -> float:
    """How long one part of the window is."""
    return max(rules.window, 1.0) / BUCKETS


def buckets(now: float, rules: Rules) -> range:
    """The numbers of the window's parts, the present one last."""
    last = int(now // bucket_length(rules))
    return range(last - BUCKETS + 1, last + 1)
