"""The states of a circuit breaker, and the state that follows a call's result: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from fundlyhub.account import account
from fundlyhub.channels.breaker.rules import Rules, rate_too_high, rest_after

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
AUTOMATIC = "automatic"
"""``who`` of a change that the breaker made itself."""
HISTORY = 50
"""Changes that the history keeps."""

Change = dict[str, str]
"""One line of the history: at, from, to, who, account and reason."""


class Counts(NamedTuple):
    """Failures in a row, and calls and failures in the window."""

    in_a_row: int = 0
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """One state. Each state has its own ``epoch``: a result counts only in the state that admitted its call."""

    name: str = CLOSED
    epoch: str = ""
    since: float | None = None
    until: float = 0.0
    failed_probes: int = 0
    by_hand: bool = False
    reason: str = ""
    who: str = ""

    @property
    def label(self) -> str:
        """The state as commands and metrics show it."""
        return "open by hand" if self.by_hand and self.name == OPEN else self.name


class Reading(NamedTuple):
    """The present state, and whether a probe is under way."""

    state: State
    probing: bool


def closed(now: float, reason: str, who: str = AUTOMATIC) -> State:
    """Calls go through, few at first (slow start)."""
    return State(CLOSED, uuid4().hex, since=now, reason=reason, who=who)


def opened(now: float, rest: float, failed_probes: int, reason: str) -> State:
    """No call goes through until the rest is over."""
    return State(OPEN, uuid4().hex, now, now + rest, failed_probes, reason=reason, who=AUTOMATIC)


def opened_by_hand(now: float, reason: str, who: str) -> State:
    """No call goes through until it is closed by hand."""
    return State(OPEN, uuid4().hex, since=now, by_hand=True, reason=reason, who=who)


def half_opened(before: State, now: float) -> State:
    """One call goes through, and is a probe."""
    reason = "the rest is over" if before.name == OPEN else "a probe was lost"
    return replace(before, name=HALF_OPEN, epoch=uuid4().hex, since=now, reason=reason, who=AUTOMATIC)


def after(before: State, failed: bool, counts: Counts, now: float, rules: Rules, said: str) -> State | None:
    """The state that follows a result; None when it does not change. ``said`` is the error text of the call."""
    if before.name == HALF_OPEN:
        if not failed:
            return closed(now, "a probe succeeded")
        probes = before.failed_probes + 1
        return opened(now, rest_after(probes, rules), probes, f"a probe failed: {said}")
    in_a_row = counts.in_a_row >= rules.failures
    if not failed or not (in_a_row or rate_too_high(counts.calls, counts.failures, rules)):
        return None
    many = f"{counts.in_a_row} failures in a row" if in_a_row else f"{counts.failures} of {counts.calls} calls failed"
    return opened(now, rest_after(0, rules), 0, f"{many}, the last: {said}")


def put_off(before: State, asked: float | None, now: float, rules: Rules, said: str) -> State:
    """The state after a probe without a verdict: open for the time that the service ``asked`` for, if it did."""
    rest = rest_after(before.failed_probes, rules) if asked is None else min(asked, rules.rest_limit)
    return opened(now, rest, before.failed_probes, f"a probe told nothing: {said}")


def change(before: State, now: State) -> Change:
    """The history's line on a change."""
    at = datetime.fromtimestamp(now.since or 0.0, UTC).isoformat(timespec="milliseconds")
    who = {"who": now.who, "account": account()}
    return {"at": at, "from": before.label, "to": now.label, **who, "reason": now.reason}
