"""A burst of one failure pauses its processor: its events wait and are charged nothing, until one of them passes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.database import get_engine
from fundlyhub.errors import (
    AddressGone,
    ClaimsDropped,
    InvalidEvent,
    OutcomeUnknown,
    Permanent,
    Snooze,
    Transient,
    UnknownVersion,
    WrongUse,
)
from fundlyhub.processing import pauses
from fundlyhub.processing.executor import execute
from fundlyhub.processing.outcome import WorkerLost
from fundlyhub.processing.pauses import Burst, Pause, is_burst, probe_wait
from fundlyhub.processing.pauses.rules import speaks_of_the_handler
from tests.processing.conftest import Query
from tests.processing.look import EFFECTS, LETTERS, Counting, by_sql, positions, publish

PAUSES = "SELECT kind, who, reason, failed FROM events.processor_pauses WHERE ended_at IS NULL"
AUDIT = "SELECT action, kind, who FROM events.processor_pause_audit ORDER BY id"
SPENT = "SELECT count(*), coalesce(sum(attempts), 0) FROM events.attempts"


class Deployed(Counting, register=False):
    """What a wrong release does to each event, and a right one does not."""

    name = "deployed"
    broken: ClassVar[Exception | None] = None
    runs: ClassVar[list[int]] = []

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        type(self).runs += [event.position or 0 for event in events]
        if self.broken is not None:
            raise self.broken
        super().handle_batch(events, db)


@pytest.fixture(autouse=True)
def _sound() -> Iterator[None]:
    Deployed.broken = None
    Deployed.runs.clear()
    yield
    Deployed.broken = None


def pause() -> Pause | None:
    with get_engine("events").connect() as db:
        return pauses.in_force(db, "deployed")


def probe(*given: int) -> None:
    """What the relay does when the time has come."""
    with get_engine("events").begin() as db:
        db.exec_driver_sql("UPDATE events.processor_pauses SET probe_at = clock_timestamp()")
        found = pauses.in_force(db, "deployed")
        assert found is not None
        assert pauses.start_probe(db, found, given)


@pytest.mark.parametrize(
    ("failed", "succeeded", "pause_after", "expected"),
    [
        (19, 0, 20, False),
        (20, 0, 20, True),
        (20, 1, 20, True),
        (20, 2, 20, False),
        (1_000, 50, 20, True),
        (1_000, 51, 20, False),
        (30, 70, 20, False),  # a part of a stream is bad
        (1_000_000, 0, None, False),
        (2, 0, 2, True),
    ],
)
def test_so_many_failures_with_next_to_no_success_are_a_burst(
    failed: int, succeeded: int, pause_after: int | None, expected: bool
) -> None:
    assert is_burst(Burst(failed, succeeded), pause_after) is expected


def test_the_wait_for_a_probe_grows_up_to_a_minute() -> None:
    assert [probe_wait(probes) for probes in (0, 1, 2, 3, 4, 5, 1_000_000)] == [5, 10, 20, 40, 60, 60, 60]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError("x"), True),
        (Transient("x"), True),
        (ValueError("x"), True),
        (Permanent("x"), False),
        (InvalidEvent("x"), False),
        (UnknownVersion("x", newer=True), False),
        (Snooze("x", seconds=1), False),
        (ClaimsDropped(), False),
        (AddressGone("x"), False),
        (OutcomeUnknown("x"), False),
        (WorkerLost("x"), False),
    ],
)
def test_some_failures_speak_of_the_event_and_not_of_its_handler(error: Exception, expected: bool) -> None:
    assert speaks_of_the_handler(error) is expected


@pytest.mark.parametrize("error", [KeyError("ada@example.org"), Transient("not now")])
def test_a_burst_in_one_batch_pauses_the_processor_and_charges_no_event(query: Query, error: Exception) -> None:
    Deployed.broken = error
    sent = publish(*["fine"] * 50)
    report = execute(Deployed, sent)
    assert report.outcomes == {"snoozed": 50}
    assert report.resend == [], "no message goes round while it is paused"
    assert query(SPENT) == [(50, 0)]
    assert query(LETTERS) == []
    ((kind, who, reason, failed),) = query(PAUSES)
    assert (kind, who, failed) == ("burst", "worker", 50)
    assert "ada" not in reason
    assert query(AUDIT) == [("paused", "burst", "worker")]


def test_a_burst_over_many_small_batches_is_counted_together(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 25)
    for position in sent[:19]:
        assert execute(Deployed, [position]).outcomes == {"retry": 1}
    assert pause() is None
    assert execute(Deployed, [sent[19]]).outcomes == {"snoozed": 1}
    assert pause() is not None
    Deployed.runs.clear()
    assert execute(Deployed, sent[20:]).outcomes == {"held": 5}
    assert Deployed.runs == []
    assert query(SPENT) == [(20, 19)]


def test_a_workers_next_batch_is_held_at_once_in_whatever_way_it_comes(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.runs.clear()
    for careful in (False, True):
        for due in (False, True):
            assert execute(Deployed, sent, careful=careful, due=due).outcomes == {"held": 40}
    assert execute(Deployed, []).outcomes == {}
    assert Deployed.runs == []


def test_one_poison_event_never_pauses_its_processor(query: Query) -> None:
    Deployed.broken = KeyError()
    (position,) = publish("fine")
    for _ in range(Deployed.max_attempts - 1):
        for _ in range(20):  # it may come as often as it likes
            execute(Deployed, [position], due=True)
    assert pause() is None
    assert query(LETTERS)[0][1] == "KeyError"


def test_a_stream_of_which_a_part_is_bad_goes_on(query: Query) -> None:
    words = [("bug" if at % 10 < 3 else "fine") for at in range(500)]
    sent = publish(*words)
    for start in range(0, 500, 100):
        assert execute(Deployed, sent[start : start + 100]).outcomes == {"done": 70, "retry": 30}
    for word in ("fine", "bug", "fine") * 30:
        execute(Deployed, publish(word))
    assert pause() is None


def test_workers_that_succeed_beside_keep_it_running(query: Query) -> None:
    """As in a deploy that goes from worker to worker: one release fails, the other does not."""
    sent = publish(*["fine"] * 60)
    execute(Deployed, sent[:1])
    for at in range(0, 60, 2):
        Deployed.broken = KeyError()
        execute(Deployed, [sent[at]])
        Deployed.broken = None
        execute(Deployed, [sent[at + 1]])
    assert pause() is None


def test_events_that_are_bad_themselves_are_dead_letters_and_no_burst(query: Query) -> None:
    sent = [by_sql(query, "search.query.submitted", "{}") for _ in range(30)]
    assert execute(Deployed, sent).outcomes == {"dead": 30}
    assert pause() is None


def test_what_its_handler_calls_permanent_is_dead_at_once_however_many_there_are(query: Query) -> None:
    assert execute(Deployed, publish(*["permanent"] * 100)).outcomes == {"dead": 100}
    assert pause() is None


def test_what_is_snoozed_is_no_burst(query: Query) -> None:
    sent = publish(*["snooze"] * 30)
    assert execute(Deployed, sent).outcomes == {"snoozed": 30}
    assert pause() is None


def test_letters_that_a_person_has_sent_again_fail_for_themselves(query: Query) -> None:
    sent = publish(*["permanent"] * 30)
    execute(Deployed, sent)
    query("UPDATE events.dead_letters SET state = 'replayed'")
    Deployed.broken = KeyError()
    assert execute(Deployed, sent).outcomes == {"retry": 30}
    assert pause() is None


def test_a_processor_may_say_that_it_never_pauses(query: Query) -> None:
    class Stubborn(Counting, register=False):
        name = "stubborn"
        pause_after = None

    assert execute(Stubborn, publish(*["bug"] * 30)).outcomes == {"retry": 30}
    assert query(PAUSES) == []


def test_one_event_cannot_be_a_burst() -> None:
    with pytest.raises(WrongUse, match="pause_after must be at least 2"):

        class Hasty(Counting, register=False):
            name = "hasty"
            handles = ("search.**", "donation.initiated")
            pause_after = 1


def test_a_careful_run_stops_where_it_pauses_its_processor(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    report = execute(Deployed, sent, careful=True)
    assert report.outcomes == {"retry": 19, "snoozed": 1}
    assert len(Deployed.runs) == 20
    assert all(not resend.careful for resend in report.resend), "the others are sent when the pause is over"


def test_a_run_that_was_under_way_when_the_pause_began_charges_nothing_either(query: Query) -> None:
    class Meanwhile(Deployed, register=False):
        name = "deployed"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            if len(events) == 1 and not query(PAUSES):
                Deployed.broken = KeyError()
                execute(Deployed, sent[:20])
            raise ValueError

    sent = publish(*["fine"] * 25)
    assert execute(Meanwhile, sent[20:]).outcomes == {"snoozed": 5}
    assert query(SPENT) == [(25, 0)]


def test_of_two_workers_that_decide_at_once_one_pauses(query: Query, caplog: pytest.LogCaptureFixture) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 120)
    barrier = threading.Barrier(4)

    def work(part: Sequence[int]) -> None:
        barrier.wait()
        execute(Deployed, part)

    threads = [threading.Thread(target=work, args=(sent[start : start + 30],)) for start in range(0, 120, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query(AUDIT) == [("paused", "burst", "worker")]
    assert query(SPENT) == [(120, 0)]
    assert sum("has paused itself" in record.getMessage() for record in caplog.records) == 1


def test_a_probe_runs_its_events_alone_and_its_failure_costs_nothing(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.runs.clear()
    for _ in range(30):
        probe(sent[0], sent[30])
        execute(Deployed, [sent[0], sent[30]], due=True)
    assert set(Deployed.runs) == {sent[0], sent[30]}
    assert query(SPENT) == [(21, 0)]
    assert query(LETTERS) == []
    assert pause() is not None


def test_a_probe_that_fails_in_another_way_charges_nothing_either(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.broken = ValueError("something else")
    probe(sent[0], sent[30])
    assert execute(Deployed, [sent[0], sent[30]], due=True).outcomes == {"snoozed": 2}
    assert query(LETTERS) == []


def test_a_probe_that_succeeds_ends_the_pause_and_what_failed_is_due(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.broken = None
    probe(sent[0], sent[30])
    assert execute(Deployed, [sent[0], sent[30]], due=True).outcomes == {"done": 2}
    assert pause() is None
    assert query(AUDIT) == [("paused", "burst", "worker"), ("resumed", "burst", "worker")]
    assert query("SELECT count(*) FROM events.attempts WHERE next_at < now()") == [(19,)]
    assert execute(Deployed, sent).outcomes == {"done": 38, "skipped": 2}
    assert positions(query(EFFECTS)) == sent


def test_a_part_of_a_probe_is_enough(query: Query) -> None:
    """The events that failed may be bad ones, and the new ones good."""
    bad = publish(*["bug"] * 20)
    execute(Deployed, bad)
    good = publish("fine")
    probe(bad[0], good[0])
    assert execute(Deployed, [bad[0], good[0]], due=True).outcomes == {"done": 1, "snoozed": 1}
    assert pause() is None


def test_a_fault_that_comes_back_is_a_new_burst_and_spends_no_attempt(query: Query) -> None:
    """A service that is up for a moment, again and again, must not use up the attempts of what waits."""
    sent = publish(*["fine"] * 60)
    for round_ in range(20):
        Deployed.broken = KeyError()
        execute(Deployed, sent, due=True)
        assert pause() is not None, round_
        Deployed.broken = None
        probe(sent[round_])
        execute(Deployed, [sent[round_]], due=True)
        assert pause() is None
    assert query(SPENT) == [(40, 0)]
    assert query(LETTERS) == []


def by_hand(**given: Any) -> None:
    with get_engine("events").begin() as db:
        pauses.pause_by_hand(db, "deployed", who="ann", reason="a look at it", **given)


def test_a_person_may_pause_a_processor_and_no_probe_gets_through(query: Query) -> None:
    sent = publish(*["fine"] * 30)
    Deployed.broken = KeyError()
    execute(Deployed, sent[:20])
    probe(sent[0])
    by_hand()
    assert execute(Deployed, sent, due=True).outcomes == {"held": 30}
    with get_engine("events").begin() as db:
        assert pauses.end_by_hand(db, "deployed", who="ann", reason="looked")
        assert not pauses.end_by_hand(db, "deployed", who="ann", reason="looked")
    assert pause() is None
    assert len(query(AUDIT)) == 4


def test_a_pause_until_a_time_is_over_then(query: Query) -> None:
    (((until,),), sent) = (query("SELECT clock_timestamp() + interval '200 ms'"), publish("fine"))
    by_hand(until=until)
    assert execute(Deployed, sent).outcomes == {"held": 1}
    query("SELECT pg_sleep(0.3)")
    assert execute(Deployed, sent).outcomes == {"done": 1}
