"""What Celery's events, and so Flower and the worker's log, show of a batch: numbers by outcome, never contents.

A task does not fail when events in it do: its message is acknowledged, and what is left is sent as a new message. In
monitoring, a batch with a dead letter counts as a failure all the same, and one with something left as a retry. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fundlyhub.processing.report import Report

_WORDS = {
    "done": "done",
    "skipped": "done before",
    "retry": "to be tried again",
    "snoozed": "waiting",
    "dead": "dead",
    "held": "held back, since the processor is paused",
}
_OUTAGE = "a database failed"
_ALONE = "for runs of a processor alone"
_WITH_CARE = "to be run with care"
_RETRIED = re.compile("|".join((_WORDS["retry"], _WORDS["snoozed"], _WITH_CARE, _OUTAGE)))
_DEAD = re.compile(rf"\d {_WORDS['dead']}\b")
_CLASS = re.compile(r"[\w.]+")


class Summary:
    """A task's result. Celery shows it by its ``repr``, and we store none."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        """The text itself, without quotes."""
        return self._text


def summary(report: Report, *, divided: int = 0) -> Summary:
    """What became of a batch: ``498 done, 1 to be tried again, 1 dead``; of a shared one each event in each processor.

    ``divided`` is the number of those that are left to runs of their processor alone.
    """
    parts = [f"{report.outcomes[name]} {word}" for name, word in _WORDS.items() if report.outcomes[name]]
    if careful := sum(len(resend.positions) for resend in report.resend if resend.careful):
        parts.append(f"{careful} {_WITH_CARE}")
    if divided:
        parts.append(f"{divided} {_ALONE}")
    return Summary(", ".join(parts) or "nothing to do")


def outage(error: BaseException, seconds: int) -> Summary:
    """A batch that runs again as a whole because of an outage."""
    return Summary(f"{_OUTAGE} ({error}); again in {seconds} s")


def told(kind: str, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The event to send in the place of Celery's own.

    Of an unexpected exception only the class is shown: its text and its traceback may hold personal data.
    """
    if kind == "task-succeeded":
        result = str(fields.get("result"))
        state = "task-failed" if _DEAD.search(result) else "task-retried" if _RETRIED.search(result) else kind
        return state, {**fields, **({} if state == kind else {"exception": result, "traceback": None})}
    if "exception" in fields:
        name = _CLASS.match(str(fields["exception"]))
        return kind, {**fields, "exception": name[0] if name else None, "traceback": None}
    return kind, dict(fields)
