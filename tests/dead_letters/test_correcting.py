"""A corrected payload: checked as at the door, for one processor and one event alone; the log stays as it is."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub.database import get_engine
from fundlyhub.errors import InvalidEvent, WrongState
from fundlyhub.processing import ProjectionProcessor, dead_letters
from fundlyhub.processing.dead_letters import Draft, Terms, patched, replay
from fundlyhub.processing.executor import execute
from tests.dead_letters.letters import AUDIT, STATES, correct, dead, discard, nowhere, run
from tests.processing.conftest import Query
from tests.processing.look import CLAIMS, Counting, by_sql, positions
from tests.support.processors import TestCountProcessor
from tests.support.publishing import To

LOG = "SELECT payload FROM events.events ORDER BY position"
SAVED = "SELECT position, version, payload FROM events.corrections"


def draft(letter: int) -> Draft:
    with get_engine("events").begin() as db:
        return dead_letters.draft(db, letter)


def undo(letter: int) -> None:
    with get_engine("events").begin() as db:
        dead_letters.undo(db, letter, who="ann", reason="it was right")


def test_an_event_that_was_wrong_is_corrected_and_replayed(query: Query) -> None:
    position = by_sql(query, "search.query.submitted", '{"query": 7}')
    execute(TestCountProcessor, [position])
    (id,) = positions(query("SELECT id FROM events.dead_letters"))
    assert replay([id], To(run), who="ann").ends == {id: "failed"}
    done = correct(id, {"query": "seven"}, reason="it was a number")
    assert (done.changed, done.ignored) == (("query",), ())
    assert replay([id], To(run), who="ann").ends == {id: "applied"}
    assert query(LOG) == [({"query": 7},)]
    assert query(SAVED) == [(position, "1.0.0", {"query": "seven"})]
    assert query(AUDIT)[3] == ("ann", "edited", "query: it was a number")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "payload.query: is required"),
        ({"query": 7}, "payload.query: must be a text"),
        ({"query": "a", "userId": "nobody@example.org"}, "payload.userId: must be a UUID"),
        ({"query": "a\x00"}, "payload.query: must not contain U+0000"),
        ({"query": "x" * 1_001}, "payload.query: must have at most 1000 characters"),
        ({"query": "a", "unknown": "x" * 600_000}, "payload: must have at most 262144 bytes"),
        (["query"], "payload: must be an object"),
        ("query", "payload: must be an object"),
        (None, "payload: must be an object"),
    ],
)
def test_what_the_door_would_refuse_is_refused_and_nothing_is_saved(query: Query, payload: Any, reason: str) -> None:
    (id,) = dead("a")
    with pytest.raises(InvalidEvent) as refused:
        correct(id, payload)
    assert str(refused.value).startswith(reason)
    assert "nobody@example.org" not in str(refused.value)
    assert query(SAVED) == []
    assert [action for _, action, _ in query(AUDIT)] == ["failed"]


def test_it_counts_for_one_processor_alone(query: Query) -> None:
    seen: list[str] = []

    class Other(Counting, register=False):
        name = "other"

        def handle_batch(self, events: Any, db: Any) -> None:
            seen.extend(event.payload.query for event in events)

    (id,) = dead("permanent")
    correct(id, {"query": "fine"})
    assert replay([id], To(run), who="ann").ends == {id: "applied"}
    execute(Other, [1])
    assert seen == ["permanent"]


def test_it_counts_for_one_event_alone(query: Query) -> None:
    """The log was restored to an earlier time, and its positions were given out again."""
    (id,) = dead("permanent")
    correct(id, {"query": "fine"})
    query("UPDATE events.events SET id = %s", uuid4())
    with pytest.raises(WrongState, match="is not in the log"):
        draft(id)
    assert execute(TestCountProcessor, [1]).outcomes == {"dead": 1}
    assert query("SELECT error_message FROM events.dead_letters") == [("never",)]
    correct(id, {"query": "fine too"})
    assert replay([id], To(run), who="ann").ends == {id: "applied"}


def test_it_can_be_taken_back(query: Query) -> None:
    (id,) = dead("permanent")
    correct(id, {"query": "fine"})
    undo(id)
    assert replay([id], To(run), who="ann").ends == {id: "failed"}
    assert [entry for entry in query(AUDIT) if entry[0] == "ann"][1] == ("ann", "edit undone", "it was right")
    with pytest.raises(WrongState, match="has no corrected payload"):
        undo(id)


def test_a_second_correction_begins_with_the_first(query: Query) -> None:
    (id,) = dead("a")
    assert json.loads(draft(id).payload or "") == {"query": "a"}
    correct(id, {"query": "b"})
    assert json.loads(draft(id).payload or "") == {"query": "b"}
    assert correct(id, {"query": "b"}).changed == ()


def test_of_two_who_correct_at_once_the_second_is_refused(query: Query) -> None:
    (id,) = dead("a")
    mine, other = draft(id), draft(id)
    correct(id, {"query": "b"}, as_of=mine.as_of)
    with pytest.raises(WrongState, match="changed meanwhile"):
        correct(id, {"query": "c"}, as_of=other.as_of)
    assert query(SAVED) == [(1, "1.0.0", {"query": "b"})]


def test_only_open_letters_are_corrected(query: Query) -> None:
    ids = dead("a", "b", "c")
    discard(ids[0])
    replay([ids[1]], To(run), who="ann")
    replay([ids[2]], To(nowhere), terms=Terms(timeout=0), who="ann")
    for id, said in zip(ids, ("is discarded: `fundlyhub dlq restore`", "is resolved", "is replayed"), strict=True):
        with pytest.raises(WrongState, match=said):
            correct(id, {"query": "z"})
    with pytest.raises(WrongState, match="there is no dead letter 999"):
        correct(999, {"query": "z"})


def test_what_a_type_does_not_know_is_left_out_and_named(query: Query) -> None:
    (id,) = dead("a")
    done = correct(id, {"query": "b", "qeury": "c", "ann@example.org": 1, "resultCount": None})
    assert done.ignored == ("qeury",)
    assert query("SELECT payload FROM events.corrections") == [({"query": "b"},)]
    assert "example.org" not in str(query(AUDIT))


class TestGiftsProcessor(ProjectionProcessor):
    """Refuses gifts in no currency at all."""

    __test__ = False
    name = "test_gifts"
    handles = ("donation.completed",)

    def handle(self, event: Any, db: Any) -> None:
        """Keep the amount to its last digit."""
        db.exec_driver_sql("INSERT INTO gifts VALUES (%(amount)s, %(currency)s)",
                           {"amount": event.payload.amount, "currency": event.payload.currency})  # fmt: skip


def test_an_older_version_is_corrected_in_the_newest_and_money_stays_exact(query: Query) -> None:
    query("CREATE TABLE analytics.gifts (amount numeric, currency text)")
    gift = {"donationId": str(uuid4()), "campaignId": str(uuid4()), "donorId": str(uuid4()), "netAmount": 5,
            "paymentProvider": "stripe", "transactionId": "pi_1"}  # fmt: skip
    position = by_sql(query, "donation.completed", json.dumps({**gift, "amount": "0.10"}), "1.0.0")
    execute(TestGiftsProcessor, [position])
    (id,) = positions(query("SELECT id FROM events.dead_letters"))
    correct(id, {**gift, "amount": Decimal("0.10")})
    assert query("SELECT version, payload ->> 'amount', payload ->> 'currency' FROM events.corrections") == [
        ("2.0.0", "0.10", "USD")
    ]
    replay([id], To(lambda _, some: execute(TestGiftsProcessor, some, ends_wait=True)), who="ann")
    assert query("SELECT amount::text, currency FROM analytics.gifts") == [("0.10", "USD")]
    assert (query(STATES), positions(query(CLAIMS))) == ([("resolved",)], [position])


def test_a_patch_changes_what_it_says(query: Query) -> None:
    patch = [{"op": "test", "path": "/a", "value": 1}, {"op": "replace", "path": "/a", "value": Decimal("1.10")},
             {"op": "remove", "path": "/b/0"}, {"op": "add", "path": "/b/-", "value": "z"}]  # fmt: skip
    before = {"a": 1, "b": ["x", "y"]}
    assert patched(before, patch) == {"a": Decimal("1.10"), "b": ["y", "z"]}
    assert before == {"a": 1, "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"op": "remove"}, "must be a list of operations"),
        ([{"op": "remove", "path": "/none"}], r"operation 1 does not apply \(JsonPatchConflict|PathNotFound"),
        ([{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/a", "value": "ann@example.org"}],
         r"operation 2 does not apply \(JsonPatchTestFailed\)"),
        ([{"op": "nonsense", "path": "/a"}], "operation 1 does not apply"),
        ([7], "operation 1 does not apply"),
        ([{"op": "remove", "path": "/a/b/c"}], "operation 1 does not apply"),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_apply_is_told_without_a_value(patch: Any, said: str) -> None:
    with pytest.raises(InvalidEvent, match=said) as refused:
        patched({"a": "ann@example.org"}, patch)
    assert "example.org" not in str(refused.value)
