"""An event that cannot be read has a dead letter of its own, whatever its code raises; its neighbours are applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from fundlyhub import Event, InvalidEvent
from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent, Snooze
from fundlyhub.processing import dead_letters
from fundlyhub.processing.executor import Outage, execute
from fundlyhub.processing.report import Report, Resend
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, CLAIMS, EFFECTS, LETTERS, Counting, by_sql, positions, publish
from tests.support.unreadable import FAULTS, SECRET, TYPE, added, said, text_of, version_of


class Wide(Counting, register=False):
    """Wants them, too."""

    name = "wide"
    handles = ("search.**", TYPE)


class Impatient(Wide, register=False):
    """Gives up soon."""

    name = "impatient"
    max_attempts = 2


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with added():
        yield


def unreadable(query: Query, place: str, fault: str) -> int:
    return by_sql(query, TYPE, text_of(place, fault), version_of(place))


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("place", ["upcaster", "validator"])
def test_each_of_them_is_dead_alone(query: Query, place: str, careful: bool) -> None:
    good = publish("a", "b", "c")
    bad = [unreadable(query, place, fault) for fault in FAULTS]
    report = execute(Wide, [*good[:1], *bad, *good[1:]], careful=careful)
    assert report.outcomes == {"done": 3, "dead": len(FAULTS)}
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == good
    letters = query(LETTERS)
    assert positions(letters) == bad
    assert SECRET not in str(letters)
    assert query(ATTEMPTS) == []


def test_a_handler_that_has_such_an_event_written_is_no_fault_of_its_neighbours(query: Query) -> None:
    class Writes(Wide, register=False):
        name = "writes"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            for event in events:
                assert event.payload_json
                assert event.aggregate_id is None
            super().handle_batch(events, db)

    good = publish("a", "b")
    bad = [unreadable(query, place, fault) for fault in FAULTS for place in ("encoder", "aggregate")]
    assert execute(Writes, [*bad, *good]).outcomes == {"done": 2, "dead": len(bad)}
    assert positions(query(EFFECTS)) == good


def test_the_time_that_no_zone_in_the_west_can_have(query: Query) -> None:
    suspended = (
        f'{{"userId": "{uuid4()}", "suspendedBy": "{uuid4()}", "reason": "spam", "duration": 7, '
        '"suspendedUntil": "9999-12-31T23:59:59-05:00"}'
    )

    class Suspensions(Wide, register=False):
        name = "suspensions"
        handles = ("admin.**", "search.**")

    good = publish(*["a"] * 20)
    bad = by_sql(query, "admin.user.suspended", suspended)
    assert execute(Suspensions, [*good[:7], bad, *good[7:]]).outcomes == {"done": 20, "dead": 1}
    ((position, error, text, *_),) = query(LETTERS)
    assert (position, error) == (bad, "InvalidEvent")
    assert text == "payload.suspendedUntil: must lie in the years 1 to 9999, in UTC too"


@pytest.mark.parametrize(
    "metadata", ["5", "[]", '"x"', "null", '{"a": ' + "9" * 5_000 + "}", '{"a": "' + "x" * 10**6 + '"}']
)
def test_metadata_that_is_none(query: Query, metadata: str) -> None:
    """A right of the table's owner, past every door."""
    good, bad = publish("a"), publish("b")
    query("UPDATE events.events SET metadata = %s::jsonb WHERE position = %s", metadata, bad[0])
    assert execute(Wide, [*bad, *good]).outcomes == {"done": 1, "dead": 1}
    assert query(LETTERS)[0][2].startswith("metadata: must")


@pytest.mark.parametrize("column", ["occurred_at", "recorded_at"])
@pytest.mark.parametrize("time", ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC", "9999-12-31 23:59:59+00"])
def test_a_time_that_python_cannot_hold(query: Query, column: str, time: str) -> None:
    good, odd = publish("a"), publish("b")
    query(f"UPDATE events.events SET {column} = %s::timestamptz WHERE position = %s", time, odd[0])
    report = execute(Wide, [*odd, *good])
    assert report.outcomes["done"] >= 1
    assert sum(report.outcomes.values()) == 2
    assert good[0] in positions(query(EFFECTS))


class TestErrorsThatCannotBeTold:
    """The text of an error is anybody's; what is written down of it can always be written."""

    @pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 10**6], ids=["U+0000", "surrogate", "long"])
    def test_a_text_that_no_database_holds(self, query: Query, text: str) -> None:
        class Odd(Wide, register=False):
            name = "odd"

            def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
                raise Permanent(f"never: {text}")

        bad = publish("a", "b")
        assert execute(Odd, bad).outcomes == {"dead": 2}
        assert all(row[2].startswith("never: ") and len(row[2]) <= 2_000 for row in query(LETTERS))

    def test_a_text_that_cannot_be_made(self, query: Query) -> None:
        class Silent(Permanent):
            def __str__(self) -> str:
                raise KeyError(SECRET)

        class Odd(Wide, register=False):
            name = "odd"

            def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
                raise Silent

        assert execute(Odd, publish("a", "b")).outcomes == {"dead": 2}
        assert {row[2] for row in query(LETTERS)} == {"Silent"}

    def test_a_wait_without_end(self, query: Query) -> None:
        class Waits(Wide, register=False):
            name = "waits"

            def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
                raise Snooze("later", seconds=float("inf"))

        assert execute(Waits, publish("a", "b")).outcomes == {"snoozed": 2}
        assert query("SELECT count(*) FROM events.attempts WHERE next_at <= now() + interval '1 day'") == [(2,)]


class TestABatchThatBreaksDown:
    """Outside of its handlers: nobody knows which of its events is to blame."""

    @staticmethod
    def damage(query: Query, position: int) -> None:
        """Whoever reads what this event says gets an error, as of a row that is damaged on the disk."""
        query("ALTER TABLE events.events RENAME TO whole")
        query(f"""
            CREATE VIEW events.events AS
            SELECT position, id, type, version, aggregate_type, aggregate_id, occurred_at, recorded_at, correlation_id,
                   causation_id, metadata,
                   CASE WHEN position = {position} THEN to_jsonb(position / 0) ELSE payload END AS payload
            FROM events.whole
        """)

    @staticmethod
    def run_all(sent: Sequence[int]) -> Report:
        """A broker and its workers: whatever is to be sent again is run, until nothing is left."""
        total = Report()
        waiting = [Resend(tuple(sent), 0)]
        for _ in range(100):
            if not waiting:
                return total
            one = waiting.pop()
            report = execute(Impatient, one.positions, careful=one.careful, ends_wait=True)
            total += report
            waiting += report.resend
        raise AssertionError("it never ends")

    def test_only_the_event_to_blame_is_charged_and_dead_in_the_end(self, query: Query) -> None:
        sent = publish(*["a"] * 20)
        bad = sent.pop(12)
        self.damage(query, bad)
        first = execute(Impatient, [*sent, bad])
        assert sorted(p for resend in first.resend for p in resend.positions) == sorted([*sent, bad])
        assert self.run_all([*sent, bad]).outcomes == {"done": 19, "retry": 1, "dead": 1}
        assert positions(query(EFFECTS)) == sent
        ((position, error, _, attempts, state),) = query(LETTERS)
        assert (position, error, attempts, state) == (bad, "DivisionByZero", 2, "open")
        assert query(ATTEMPTS) == []

    def test_a_table_that_is_missing_is_no_events_fault(self, query: Query) -> None:
        sent = publish("a", "b")
        query("ALTER TABLE events.attempts RENAME TO away")
        with pytest.raises(Outage):
            execute(Impatient, sent)
        query("ALTER TABLE events.away RENAME TO attempts")
        assert query(ATTEMPTS) == query(LETTERS) == []
        assert execute(Impatient, sent).outcomes == {"done": 2}


def test_a_letter_of_an_event_that_cannot_be_read_is_shown_and_corrected(query: Query) -> None:
    bad = [unreadable(query, "validator", fault) for fault in FAULTS]
    execute(Wide, bad)
    with get_engine("events").begin() as db:
        letters = db.exec_driver_sql("SELECT id FROM events.dead_letters ORDER BY position").scalars().all()
        for letter, fault in zip(letters, FAULTS, strict=True):
            shown = dead_letters.show(db, letter, payload=True)
            assert shown.content is not None
            assert SECRET not in shown.letter.message + shown.traceback
            draft = dead_letters.draft(db, letter)
            for still in (said("validator", fault), said("encoder", fault)):
                with pytest.raises(InvalidEvent) as caught:
                    dead_letters.correct(db, letter, still, who="ann", as_of=draft.as_of)
                assert SECRET not in str(caught.value)
            fine = {**said("nowhere", fault), "said": "fine"}
            assert "where" in dead_letters.correct(db, letter, fine, who="ann", as_of=draft.as_of).changed
    query("UPDATE events.dead_letters SET state = 'replayed'")
    assert execute(Wide, bad).outcomes == {"done": len(bad)}


def test_a_correction_knows_the_keys_of_the_wire_alone(query: Query) -> None:
    bad = by_sql(query, "search.query.submitted", "{}")
    execute(Wide, [bad])
    (letter,) = positions(query("SELECT id FROM events.dead_letters"))
    with get_engine("events").begin() as db:
        done = dead_letters.correct(db, letter, {"query": "a", "session_id": str(uuid4())}, who="ann")
    assert (done.changed, done.ignored) == (("query",), ("session_id",))


def test_a_patch_that_meets_something_else_does_not_apply() -> None:
    operations: list[Any] = [
        {"op": "add", "path": "/query/deep", "value": 1},
        {"op": "replace", "path": "/query/0", "value": 1},
        {"op": "move", "from": 5, "path": "/a"},
        {"op": "remove", "path": 7},
        {"op": "add", "path": "/list/x", "value": 1},
        5,
        {},
    ]
    for operation in operations:
        with pytest.raises(InvalidEvent, match="operation 1 does not apply"):
            dead_letters.patched({"query": SECRET, "list": []}, [operation])
