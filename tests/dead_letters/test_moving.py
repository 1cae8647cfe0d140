"""Export and import: twice is harmless, nothing newer is overwritten, and bad lines are told by their numbers."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub.database import get_engine
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, ImportReport, Terms, replay
from tests.dead_letters.letters import AUDIT, STATES, correct, dead, discard, nowhere, restore, run
from tests.processing.conftest import Query
from tests.support.publishing import To

EVERYTHING = Filter(state=None)


def exported(**options: Any) -> list[dict[str, Any]]:
    with get_engine("events").begin() as db:
        return [json.loads(line) for line in dead_letters.export_lines(db, EVERYTHING, **options)]


def taken(*lines: Any) -> ImportReport:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    *_, report = dead_letters.import_lines(io.BytesIO(text.encode()), who="bob")
    return report


def emptied(query: Query) -> None:
    """Another database with the same log."""
    query("TRUNCATE events.dead_letters, events.dead_letter_audit, events.corrections")


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.imported, report.unchanged, len(report.refused)


def test_what_is_exported_can_be_imported_elsewhere_and_replayed(query: Query) -> None:
    ids = dead("a", "b")
    discard(ids[1])
    lines = exported()
    emptied(query)
    assert counts(taken(*lines)) == (2, 0, 0)
    again = exported()
    assert [{**line, "id": 0} for line in again] == [{**line, "id": 0} for line in lines]
    assert query(AUDIT) == [("bob", "imported", None)] * 2
    assert replay([again[0]["id"]], To(run), who="ann").ended("applied") == [again[0]["id"]]


def test_importing_twice_changes_nothing(query: Query) -> None:
    dead("a", "b")
    lines = exported()
    assert counts(taken(*lines)) == (0, 2, 0)
    emptied(query)
    assert counts(taken(*lines, *lines)) == (2, 2, 0)
    assert len(query(AUDIT)) == 2


def test_what_was_done_since_the_export_stays(query: Query) -> None:
    ids = dead("a", "b", "c")
    before = exported()
    discard(ids[0])
    replay([ids[1]], To(run), who="ann")
    correct(ids[2], {"query": "fine"})
    assert counts(taken(*before)) == (0, 3, 0)
    assert query(STATES) == [("discarded",), ("resolved",), ("open",)]


def test_what_was_decided_elsewhere_since_comes_in(query: Query) -> None:
    ids = dead("a", "b")
    before = exported()
    discard(*ids)
    decided = exported()
    emptied(query)
    taken(*before)
    assert counts(taken(*decided)) == (2, 0, 0)
    assert query(STATES) == [("discarded",), ("discarded",)]


def test_what_was_under_way_there_is_open_here_and_what_was_resolved_is_passed_over(query: Query) -> None:
    ids = dead("a", "b")
    replay([ids[0]], To(nowhere), terms=Terms(timeout=0), who="ann")
    replay([ids[1]], To(run), who="ann")
    lines = exported()
    emptied(query)
    assert counts(taken(*lines)) == (1, 1, 0)
    assert query(STATES) == [("open",)]
    assert query(AUDIT) == [("bob", "imported", "it was under way where it comes from")]


def test_no_word_of_an_event_goes_out_unless_it_is_asked_for(query: Query) -> None:
    (id,) = dead("a-secret")
    correct(id, {"query": "another-secret"})
    assert "secret" not in str(exported())
    (line,) = exported(payload=True)
    assert line["payload"] == {"query": "a-secret"}
    assert line["corrected_payload"] == {"version": "1.0.0", "payload": {"query": "another-secret"}}


def test_a_corrected_payload_goes_along(query: Query) -> None:
    (id,) = dead("permanent")
    correct(id, {"query": "fine"})
    (line,) = exported(payload=True)
    emptied(query)
    wrong = {**line, "corrected_payload": {"version": "1.0.0", "payload": {"query": 7}}}
    assert taken(wrong).refused == [(1, "payload.query: must be a text")]
    assert query(STATES) == []
    taken(line)
    (copy,) = exported()
    assert copy["corrected"]
    assert replay([copy["id"]], To(run), who="ann").ended("applied") == [copy["id"]]


def test_a_letter_of_a_log_that_was_restored_is_written_over(query: Query) -> None:
    (id,) = dead("a")
    (line,) = exported()
    query("UPDATE events.dead_letters SET event_id = %s, state = 'discarded', changed_at = now()", uuid4())
    assert counts(taken(line)) == (1, 0, 0)
    assert query(STATES) == [("open",)]
    assert restore(id).unchanged == {id: "open"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"position": 0}, "position: must be at least 1"),
        ({"position": 2**63}, "position: must be less than"),
        ({"position": 77}, "at position 77 is not in the log"),
        ({"event_id": "x"}, "event_id: must be a UUID"),
        ({"event_id": str(uuid4())}, "at position 1 is not in the log"),
        ({"state": "gone"}, "state: must be one of 'open', 'replayed', 'discarded' or 'resolved'"),
        ({"attempts": -1}, "attempts: must be at least 0"),
        ({"processor": "Robert'); DROP"}, "processor: must match"),
        ({"changed_at": "2999-01-01T00:00:00Z"}, "must not be in the future"),
        ({"changed_at": "2020-01-01T00:00:00"}, "changed_at: is not valid (timezone_aware)"),
        ({"message": "a\x00b"}, "line.message: must not contain U+0000"),
        ({"traceback": None}, "traceback: must be a text"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_the_good_ones_go_in(
    query: Query, change: dict[str, Any], reason: str
) -> None:
    dead("a", "b")
    first, second = exported()
    emptied(query)
    report = taken({**first, **change}, "", second)
    assert (report.imported, report.unchanged) == (1, 0)
    ((number, said),) = report.refused
    assert number == 1
    assert reason in said
    assert query("SELECT position FROM events.dead_letters") == [(2,)]


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"processor": NaN}', '{"a": 1, "a": 2}', "x" * 2_000_000])
def test_what_is_no_letter_is_refused(query: Query, line: str) -> None:
    assert [number for number, _ in taken(line).refused] == [1]


@pytest.mark.chaos  # for its length
def test_more_than_a_page_goes_out_and_in(query: Query) -> None:
    dead(*["a"] * 520)
    lines = exported(payload=True)
    assert len(lines) == 520
    emptied(query)
    assert counts(taken(*lines)) == (520, 0, 0)
