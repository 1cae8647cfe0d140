"""Discarding and restoring: only what is in the right state is changed, whoever else is at it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent, Transient, WrongUse
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Changes, Terms, replay
from fundlyhub.processing.executor import execute
from tests.dead_letters.letters import AUDIT, STATES, dead, discard, nowhere, restore, run
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, EFFECTS, Counting, positions
from tests.support.processors import TestCountProcessor
from tests.support.publishing import To

SHORT = Terms(timeout=0)


def test_a_discarded_letter_rests_and_can_be_restored_and_replayed(query: Query) -> None:
    (id,) = dead("a")
    assert discard(id).changed == (id,)
    assert execute(TestCountProcessor, [1], ends_wait=True, careful=True).outcomes == {}
    assert replay([id], To(run), who="ann").unchanged == {id: "discarded"}
    assert restore(id).changed == (id,)
    assert replay([id], To(run), who="ann").ends == {id: "applied"}
    assert [entry[:2] for entry in query(AUDIT)] == [
        ("worker", "failed"), ("ann", "discarded"), ("ann", "restored"), ("ann", "replayed"), ("worker", "applied")
    ]  # fmt: skip
    assert query(AUDIT)[1][2] == "not worth it"


def test_each_says_what_it_did_not_change(query: Query) -> None:
    ids = dead("a", "b", "c")
    discard(ids[0])
    replay([ids[1]], To(run), who="ann")
    assert discard(*ids, 999) == Changes((ids[2],), {ids[0]: "discarded", ids[1]: "resolved", 999: "unknown"})
    assert restore(*ids) == Changes((ids[0], ids[2]), {ids[1]: "resolved"})


@pytest.mark.parametrize("reason", ["", " \n", "x" * 1_001])
def test_discarding_wants_a_reason(query: Query, reason: str) -> None:
    (id,) = dead("a")
    with pytest.raises(WrongUse, match="the reason"):
        discard(id, reason=reason)
    assert query(STATES) == [("open",)]


def test_a_replay_that_is_discarded_is_called_back(query: Query) -> None:
    (id,) = dead("a")
    replay([id], To(nowhere), terms=SHORT, who="ann")
    assert discard(id).changed == (id,)
    assert query(ATTEMPTS) == []
    run("test_count", [1])
    assert query(EFFECTS) == []


class Meeting(Counting, register=False):
    """The counting processor with an operator who discards the letter while it is at work."""

    name = "test_count"
    letter = 0
    error: Exception | None = None

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Be met."""
        discard(self.letter)
        if self.error is not None:
            raise self.error
        super().handle_batch(events, db)


@pytest.fixture
def met(query: Query) -> type[Meeting]:
    """A replay that is under way."""
    Meeting.letter, Meeting.error = dead("a")[0], None
    replay([Meeting.letter], To(nowhere), terms=SHORT, who="ann")
    return Meeting


def test_a_failure_that_comes_after_the_discard_leaves_it_discarded_with_the_newest_error(
    met: type[Meeting], query: Query
) -> None:
    met.error = Permanent("and again")
    assert execute(met, [1], ends_wait=True).outcomes == {"dead": 1}
    assert query("SELECT state, attempts, error_message FROM events.dead_letters") == [("discarded", 2, "and again")]
    assert [action for _, action, _ in query(AUDIT)] == ["failed", "replayed", "discarded", "failed"]


def test_a_retry_that_comes_after_the_discard_comes_to_nothing(met: type[Meeting], query: Query) -> None:
    met.error = Transient("not now")
    assert execute(met, [1], ends_wait=True).outcomes == {"retry": 1}
    assert execute(TestCountProcessor, [1], ends_wait=True).outcomes == {}
    assert query(ATTEMPTS) == []
    assert (query(STATES), query(EFFECTS)) == ([("discarded",)], [])


def test_a_success_that_comes_after_the_discard_is_told_as_what_it_is(met: type[Meeting], query: Query) -> None:
    assert execute(met, [1], ends_wait=True).outcomes == {"done": 1}
    assert query(STATES) == [("resolved",)]
    assert [action for _, action, _ in query(AUDIT)] == ["failed", "replayed", "discarded", "applied"]


def test_two_operators_and_a_worker_with_the_same_letters_wait_for_nobody_for_ever(query: Query) -> None:
    """All lock letters in one order, and before attempts: no deadlock, and each change is made by one of them."""
    ids = dead(*["a", "permanent"] * 60)
    changes: list[Changes] = []
    errors: list[Exception] = []
    ready = threading.Barrier(4)

    def discarding(order: int) -> None:
        for _ in range(6):
            changes.append(discard(*ids[::order]))
            changes.append(restore(*ids[::order]))

    def replaying() -> None:
        for _ in range(6):
            replay(ids[::-1], To(run), terms=Terms(wait=False), who="ann")

    def guarded(target: object, *args: int) -> None:
        ready.wait(30)
        try:
            assert callable(target)
            target(*args)
        except Exception as error:
            errors.append(error)

    work = [(discarding, 1), (discarding, -1), (replaying,), (replaying,)]
    threads = [threading.Thread(target=guarded, args=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert errors == []
    assert query("SELECT count(*) FROM (SELECT 1 FROM analytics.test_effects GROUP BY position HAVING count(*) > 1) d"
                 ) == [(0,)]  # fmt: skip
    told = sum(len(one.changed) for one in changes)
    assert query("SELECT count(*) FROM events.dead_letter_audit WHERE action IN ('discarded', 'restored')") == [(told,)]
    restore(*ids)
    replay(ids, To(run), terms=Terms(max_failures=1), who="ann")
    assert len(positions(query(EFFECTS))) == 60
    assert query("SELECT state, count(*) FROM events.dead_letters GROUP BY 1 ORDER BY 1") == [
        ("open", 60), ("resolved", 60)
    ]  # fmt: skip


def test_nothing_is_ever_deleted(query: Query) -> None:
    ids = dead("a", "b")
    discard(ids[0])
    replay([ids[1]], To(run), who="ann")
    with get_engine("events").begin() as db:
        entries = [entry.action for entry in dead_letters.AUDIT.timeline(db, ids[0])]
    assert entries == ["failed", "discarded"]
    assert query(STATES) == [("discarded",), ("resolved",)]
