"""What is told of a batch: numbers by outcome; a dead letter is a failure, what is left is a retry."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fundlyhub.processing.report import Report, Resend
from fundlyhub.processing.worker.task_events import outage, summary, told


@pytest.mark.parametrize(
    ("outcomes", "resend", "text", "kind"),
    [
        ({}, [], "nothing to do", "task-succeeded"),
        ({"done": 500}, [], "500 done", "task-succeeded"),
        ({"skipped": 2, "done": 1}, [], "1 done, 2 done before", "task-succeeded"),
        ({"done": 1, "retry": 2}, [Resend((1, 2), 4)], "1 done, 2 to be tried again", "task-retried"),
        ({"snoozed": 1}, [], "1 waiting", "task-retried"),
        ({}, [Resend((1, 2), 1, careful=True)], "2 to be run with care", "task-retried"),
        ({"done": 7, "retry": 1, "dead": 2}, [], "7 done, 1 to be tried again, 2 dead", "task-failed"),
    ],
)
def test_a_batch_in_numbers(outcomes: dict[str, int], resend: list[Resend], text: str, kind: str) -> None:
    result = repr(summary(Report(Counter(outcomes), resend)))
    assert result == text
    sent, fields = told("task-succeeded", {"result": result, "runtime": 0.1})
    assert (sent, fields["runtime"]) == (kind, 0.1)
    assert fields.get("exception") == (None if kind == "task-succeeded" else text)


def test_an_outage_is_a_retry() -> None:
    assert told("task-succeeded", {"result": repr(outage(OSError("OperationalError"), 4))}) == (
        "task-retried",
        {
            "result": "a database failed (OperationalError); again in 4 s",
            "exception": "a database failed (OperationalError); again in 4 s",
            "traceback": None,
        },
    )


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("IntegrityError('(ada@example.org) already exists')", "IntegrityError"),
        ("TimeLimitExceeded(300.0)", "TimeLimitExceeded"),
        ("<ada@example.org>", None),
    ],
)
def test_of_an_unforeseen_exception_only_its_class_is_told(said: str, kept: str | None) -> None:
    fields: dict[str, Any] = {"exception": said, "traceback": "… ada@example.org"}
    assert told("task-failed", fields) == ("task-failed", {"exception": kept, "traceback": None})


def test_other_events_are_celerys_own() -> None:
    assert told("task-received", {"args": "2 positions, 1 to 2"}) == ("task-received", {"args": "2 positions, 1 to 2"})
