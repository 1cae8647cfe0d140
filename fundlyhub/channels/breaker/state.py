"""The state of a circuit breaker as all workers see it, and the next one, on which pybreaker decides."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import pybreaker

from fundlyhub.channels.breaker.rules import Rules, rate_too_high, rest_after

CLOSED, OPEN, HALF_OPEN = pybreaker.STATE_CLOSED, pybreaker.STATE_OPEN, pybreaker.STATE_HALF_OPEN
AUTOMATIC = "automatic"
"""Who changed it, when nobody did."""
HISTORY = 50
"""Changes of state that are kept."""

Change = dict[str, str]
"""One line of the history: at, from, to, who and reason."""


class Counts(NamedTuple):
    """What calls came to: failures in a row, and calls and failures in the window."""

    in_a_row: int = 0
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """One state. Each has an ``epoch`` of its own: a call belongs to the one in which it was let in."""

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
        """The state for people."""
        return "open by hand" if self.by_hand and self.name == OPEN else self.name


class Reading(NamedTuple):
    """The present state, and whether a probe is under way."""

    state: State
    probing: bool


def closed(now: float, reason: str, who: str = AUTOMATIC) -> State:
    """Calls go through, few at first."""
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
    """The state that a result leads to; None when it stays as it is. ``said`` is the last call's fault."""
    name = _decided(before.name, failed, counts, rules)
    if name == before.name:
        return None
    if name == CLOSED:
        return closed(now, "a probe succeeded")
    if before.name == HALF_OPEN:
        probes = before.failed_probes + 1
        return opened(now, rest_after(probes, rules), probes, f"a probe failed: {said}")
    in_a_row = counts.in_a_row >= rules.failures
    many = f"{counts.in_a_row} failures in a row" if in_a_row else f"{counts.failures} of {counts.calls} calls failed"
    return opened(now, rest_after(0, rules), 0, f"{many}, the last: {said}")


def put_off(before: State, asked: float | None, now: float, rules: Rules, said: str) -> State:
    """The state after a probe that told nothing: the service rests for as long as it ``asked`` for, if it did."""
    rest = rest_after(before.failed_probes, rules) if asked is None else min(asked, rules.rest_limit)
    return opened(now, rest, before.failed_probes, f"a probe told nothing: {said}")


def change(before: State, now: State) -> Change:
    """The line of the history on a change."""
    at = datetime.fromtimestamp(now.since or 0.0, UTC).isoformat(timespec="milliseconds")
    return {"at": at, "from": before.label, "to": now.label, "who": now.who, "reason": now.reason}


def _decided(name: str, failed: bool, counts: Counts, rules: Rules) -> str:
    machine = pybreaker.CircuitBreaker(
        fail_max=rules.failures, state_storage=_Counted(name, counts.in_a_row), throw_new_error_on_trip=False
    )
    with suppress(_Failed):
        machine.call(_fail if failed else _succeed)
    # pybreaker knows no rates. A success never opens it: the next failure will, if it must be.
    if failed and machine.current_state == CLOSED and rate_too_high(counts.calls, counts.failures, rules):
        machine.open()
    return machine.current_state


class _Counted(pybreaker.CircuitMemoryStorage):
    """One reading of the shared state. Failures are counted already, by all workers; pybreaker only looks."""

    def __init__(self, name: str, in_a_row: int) -> None:
        super().__init__(name)
        self._in_a_row = in_a_row

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return self._in_a_row


class _Failed(Exception):
    """Stands for any failure."""


def _fail() -> None:
    raise _Failed


def _succeed() -> None:
    """Stands for any success."""
