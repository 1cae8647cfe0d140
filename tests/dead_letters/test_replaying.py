"""Replays go through the executor and its claims; what is committed and not sent is sent by the sweep."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import uuid4

import pytest
from kombu.exceptions import OperationalError

from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent, WrongUse
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Replayed, Terms, choose, replay
from fundlyhub.processing.executor import execute
from tests.dead_letters.letters import AUDIT, STATES, Broken, dead, discard, nowhere, run
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, CLAIMS, EFFECTS, positions, publish
from tests.support.processors import TestCountProcessor
from tests.support.publishing import To

SHORT = Terms(timeout=0)


def test_a_replayed_letter_is_applied_once_and_resolved(query: Query) -> None:
    ids = dead("a")
    done = replay(ids, To(run), reason="mended", who="ann")
    assert done.ends == {ids[0]: "applied"}
    assert (done.stopped, done.left, done.unchanged) == (None, (), {})
    assert positions(query(EFFECTS)) == positions(query(CLAIMS)) == [1]
    assert query(STATES) == [("resolved",)]
    assert query(ATTEMPTS) == []
    assert query(AUDIT) == [
        ("worker", "failed", "Permanent: a fault of ours"),
        ("ann", "replayed", "mended"),
        ("worker", "applied", None),
    ]


def test_one_that_fails_again_is_open_again_with_all_its_attempts(query: Query) -> None:
    ids = dead("permanent")
    done = replay(ids, To(run), who="ann")
    assert (done.ends, done.stopped) == ({ids[0]: "failed"}, None)
    assert query("SELECT state, attempts, error_message FROM events.dead_letters") == [("open", 2, "never")]
    assert query(ATTEMPTS) == []
    assert [action for _, action, _ in query(AUDIT)] == ["failed", "replayed", "failed"]


def test_a_second_verdict_on_what_rests_adds_nothing(query: Query) -> None:
    """Two messages for one event, both under way: the other one's worker died too, and both come to the same end."""
    dead("permanent")
    before = query("SELECT * FROM events.dead_letters"), query(AUDIT)
    with get_engine("events").begin() as db:
        event_id, now = db.exec_driver_sql("SELECT event_id, now() FROM events.dead_letters").one()
        late = dead_letters.DeadLetter(1, event_id, "search.query.submitted", Permanent("late"), 4, now)
        dead_letters.record(db, "test_count", [late], now=now)
    assert (query("SELECT * FROM events.dead_letters"), query(AUDIT)) == before


def test_an_event_that_was_applied_meanwhile_is_not_applied_again_and_it_says_so(query: Query) -> None:
    (position,) = publish("a")
    execute(TestCountProcessor, [position])
    query("INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,"
          " fingerprint, attempts, first_failed_at, last_failed_at)"
          " SELECT 'test_count', position, id, type, 'E', '', '', 'f', 1, now(), now() FROM events.events")  # fmt: skip
    ids = positions(query("SELECT id FROM events.dead_letters"))
    assert replay(ids, To(run), who="ann").ends == {ids[0]: "skipped"}
    assert positions(query(EFFECTS)) == [position]
    assert query(STATES) == [("resolved",)]
    assert query(AUDIT)[-1] == ("worker", "skipped", None)
    assert replay(ids, To(run), who="ann").unchanged == {ids[0]: "resolved"}


def test_a_second_message_of_a_replay_changes_nothing(query: Query) -> None:
    ids = dead("a")

    def twice(name: str, sent: Sequence[int]) -> None:
        run(name, sent)
        run(name, sent)

    assert replay(ids, To(twice), who="ann").ends == {ids[0]: "applied"}
    assert positions(query(EFFECTS)) == [1]
    assert [action for _, action, _ in query(AUDIT)] == ["failed", "replayed", "applied"]


def test_a_canary_that_fails_is_the_only_one_that_was_sent(query: Query) -> None:
    ids = dead(*["permanent"] * 20)
    done = replay(ids, To(run), who="ann")
    assert done.ends == {ids[0]: "failed"}
    assert done.left == tuple(ids[1:])
    assert done.stopped == "1 of 1 failed again, and at most 10% may"
    assert query("SELECT count(*) FROM events.dead_letters WHERE attempts = 1 AND state = 'open'") == [(19,)]


def test_ten_of_which_too_many_fail_stop_it_and_more_may_when_a_person_says_so(query: Query) -> None:
    ids = dead("a", *["permanent", "a"] * 20)
    done = replay(ids, To(run), who="ann")
    assert len(done.ends) == 11
    assert done.stopped == "5 of 10 failed again, and at most 10% may"
    again = replay(ids, To(run), terms=Terms(max_failures=1), who="ann")
    assert (again.stopped, again.left) == (None, ())
    assert query("SELECT state, count(*) FROM events.dead_letters GROUP BY 1 ORDER BY 1") == [
        ("open", 20),
        ("resolved", 21),
    ]


def test_waves_go_out_in_the_order_of_the_log(query: Query) -> None:
    ids = dead(*["a"] * 30)
    sent: list[list[int]] = []

    def note(name: str, some: Sequence[int]) -> None:
        sent.append(list(some))
        run(name, some)

    seen: list[int] = []
    replay(list(reversed(ids)), To(note), progress=lambda report: seen.append(len(report.ended("applied"))), who="ann")
    assert [len(one) for one in sent] == [1, 10, 19]
    assert [position for one in sent for position in one] == positions(query(EFFECTS))
    assert seen == [0, 1, 1, 11, 11, 30]


@pytest.mark.chaos  # for its length
def test_a_rate_is_kept(query: Query) -> None:
    ids = dead(*["a"] * 5)
    times: list[float] = []

    def note(name: str, some: Sequence[int]) -> None:
        times.append(float(query("SELECT extract(epoch FROM clock_timestamp())")[0][0]))
        run(name, some)

    replay(ids, To(note), terms=Terms(rate=2), who="ann")  # 1, and 2, and 2: half a second, and one
    assert len(times) == 3
    assert times[-1] - times[0] > 1.2
    assert query(STATES) == [("resolved",)] * 5


def test_a_timeout_ends_the_wait_and_not_the_replay(query: Query) -> None:
    ids = dead(*["a"] * 3)
    done = replay(ids, To(nowhere), terms=SHORT, who="ann")
    assert done.ends == {ids[0]: "pending"}
    assert done.left == tuple(ids[1:])
    assert "1 of 1 had no result" in str(done.stopped)
    assert query(STATES) == [("replayed",), ("open",), ("open",)]


def test_without_waiting_all_go_at_once(query: Query) -> None:
    ids = dead(*["a"] * 30)
    done = replay(ids, To(nowhere), terms=Terms(wait=False), who="ann")
    assert done.ended("pending") == ids
    assert (done.stopped, done.left) == (None, ())


def test_what_is_committed_and_never_sent_is_due_later(query: Query) -> None:
    """The process that replays is killed between its commit and the broker."""
    ids = dead("a", "b")

    def killed(name: str, sent: Sequence[int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(ids, To(killed), who="ann")
    assert query(STATES) == [("replayed",), ("open",)]
    assert query("SELECT position, attempts, next_at > now(), next_at < now() + interval '3 min' FROM events.attempts"
                 ) == [(1, 0, True, True)]  # fmt: skip
    assert execute(TestCountProcessor, [1]).outcomes == {}, "its own message, or the sweep's, runs it"
    run("test_count", [1])
    assert query(STATES) == [("resolved",), ("open",)]
    assert query(ATTEMPTS) == []


def test_a_broker_that_takes_nothing_stops_it_and_loses_nothing(query: Query) -> None:
    ids = dead(*["a"] * 3)

    def away(name: str, sent: Sequence[int]) -> None:
        raise OperationalError("refused")

    done = replay(ids, To(away), who="ann")
    assert done.stopped == "the broker takes no message (OperationalError); the sweep sends what is under way"
    assert done.ended("pending") == ids[:1]
    assert done.left == tuple(ids[1:])
    assert query(ATTEMPTS) == [(1, 0, None)]


def test_two_operators_at_once_send_each_letter_once(query: Query) -> None:
    ids = dead(*["a"] * 200)
    sent: list[int] = []
    done: list[Replayed] = []
    ready = threading.Barrier(4)

    def operator() -> None:
        ready.wait(30)
        done.append(replay(ids, To(lambda _, some: sent.extend(some)), terms=Terms(wait=False), who="ann"))

    threads = [threading.Thread(target=operator) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(sent) == list(range(1, 201))
    assert sorted(id for one in done for id in one.ends) == ids
    assert all(set(one.unchanged) | set(one.ends) == set(ids) for one in done)
    assert query("SELECT count(*) FROM events.dead_letter_audit WHERE action = 'replayed'") == [(200,)]


def test_only_open_letters_of_known_processors_go(query: Query) -> None:
    ids = dead("a", "b", "c", "d")
    discard(ids[0])
    replay([ids[1]], To(nowhere), terms=SHORT, who="ann")
    query("UPDATE events.dead_letters SET processor = 'gone' WHERE id = %s", ids[2])
    with get_engine("events").begin() as db:
        able, unable = choose(db, [*ids, 999])
    assert able == [ids[3]]
    assert unable == {
        ids[0]: "discarded", ids[1]: "replayed", ids[2]: "of a processor that is not part of this code", 999: "unknown"
    }  # fmt: skip
    assert replay([*ids, 999], To(run), who="ann").unchanged == unable


def test_a_transient_fault_keeps_a_replay_under_way_until_it_is_dead_or_applied(query: Query) -> None:
    ids = dead("transient")
    replay(ids, To(run), terms=SHORT, who="ann")
    assert query(STATES) == [("replayed",)]
    for _ in range(TestCountProcessor.max_attempts - 1):
        execute(TestCountProcessor, [1], ends_wait=True)
    assert query(STATES) == [("open",)]
    assert query("SELECT attempts FROM events.dead_letters") == [(6,)]


def test_a_replay_gives_an_event_all_its_attempts_anew(query: Query) -> None:
    ids = dead("a")
    query("INSERT INTO events.attempts VALUES ('test_count', 1, 5, now() - interval '2 days', now(), 'KeyError')")
    replay(ids, To(nowhere), terms=SHORT, who="ann")
    assert query("SELECT attempts, first_seen > now() - interval '1 min', error_class FROM events.attempts") == [
        (0, True, None)
    ]


def test_a_replay_whose_row_of_attempts_is_gone_is_resolved_all_the_same(query: Query) -> None:
    """Another run of the same replay, which ended in between, has forgotten it."""
    ids = dead("a")
    replay(ids, To(nowhere), terms=SHORT, who="ann")
    query("DELETE FROM events.attempts")
    run("test_count", [1])
    assert query(STATES) == [("resolved",)]


def test_what_rests_waits_for_nothing(query: Query) -> None:
    """A row of attempts that a late worker left would be sent by the sweep for ever."""
    dead("a")
    query("INSERT INTO events.attempts VALUES ('test_count', 1, 1, now(), now() - interval '1 min', 'KeyError')")
    assert execute(TestCountProcessor, [1], ends_wait=True).outcomes == {}
    assert query(ATTEMPTS) == []


def test_a_careful_run_resolves_too(query: Query) -> None:
    ids = dead("a")
    replay(ids, To(lambda _, some: execute(TestCountProcessor, some, careful=True, ends_wait=True)), who="ann")
    assert query(STATES) == [("resolved",)]
    assert query(ATTEMPTS) == []


def test_a_resolved_letter_whose_claim_was_lost_does_not_hold_its_event_back(query: Query) -> None:
    """The Analytics DB was restored to an earlier time."""
    replay(dead("a"), To(run), who="ann")
    query("DELETE FROM analytics.processed_events; DELETE FROM analytics.test_effects")
    assert execute(TestCountProcessor, [1]).outcomes == {"done": 1}
    execute(Broken, publish("b"))
    query("DELETE FROM analytics.processed_events")
    assert execute(Broken, [1]).outcomes == {"dead": 1}, "and one that fails now is open again"
    assert query(STATES) == [("open",), ("open",)]


def test_a_letter_of_another_event_at_the_position_holds_nothing_back_and_is_written_over(query: Query) -> None:
    """The log was restored to an earlier time, and its positions were given out again."""
    dead("a", "b")
    query("UPDATE events.dead_letters SET event_id = %s, state = 'discarded', attempts = 9", uuid4())
    assert execute(TestCountProcessor, [1]).outcomes == {"done": 1}
    assert execute(Broken, [2]).outcomes == {"dead": 1}
    letter = (
        "SELECT d.state, d.attempts, d.event_id = e.id FROM events.dead_letters d JOIN events.events e USING (position)"
    )
    assert query(f"{letter} WHERE position = 2") == [("open", 1, True)]


@pytest.mark.parametrize("who", ["", "  ", "x" * 1_001, "\x1b[31m"])
def test_somebody_has_to_do_it(query: Query, who: str) -> None:
    with pytest.raises(WrongUse, match="who does it"):
        replay(dead("a"), To(run), who=who)
    assert query(STATES) == [("open",)]


def test_a_processor_of_messages_is_told_since_when_a_replay_counts(query: Query) -> None:
    replay(dead("a"), To(nowhere), terms=SHORT, who="ann")
    with get_engine("events").begin() as db:
        (letter,) = dead_letters.known(db, "test_count", [1]).values()
    assert letter.state == "replayed"
    assert query("SELECT last_failed_at FROM events.dead_letters") == [(letter.last_failed_at,)]
