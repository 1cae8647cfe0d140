"""A burst of one failure pauses its processor: its events wait and are charged nothing, until one of them passes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
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
from fundlyhub.processing.executor import execute
from fundlyhub.processing.outcome import WorkerLost
from fundlyhub.processing.pauses import Burst, is_burst, probe_wait
from fundlyhub.processing.pauses.rules import speaks_of_the_handler
from tests.processing.conftest import Query
from tests.processing.deployed import AUDIT, PAUSES, SPENT, Deployed, deployed, pause  # noqa: F401  # a fixture
from tests.processing.look import LETTERS, Counting, by_sql, publish

pytestmark = pytest.mark.usefixtures("deployed")


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
            assert execute(Deployed, sent, careful=careful, ends_wait=due).outcomes == {"held": 40}
    assert execute(Deployed, []).outcomes == {}
    assert Deployed.runs == []


def test_one_poison_event_never_pauses_its_processor(query: Query) -> None:
    Deployed.broken = KeyError()
    (position,) = publish("fine")
    for _ in range(Deployed.max_attempts - 1):
        for _ in range(20):  # it may come as often as it likes
            execute(Deployed, [position], ends_wait=True)
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
    outcomes = execute(Meanwhile, sent[20:]).outcomes
    assert outcomes["snoozed"] + outcomes["held"] == 5  # on a slow machine the run has looked, and stopped
    assert query(SPENT) == [(20 + outcomes["snoozed"], 0)]


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
    ((rows, spent),) = query(SPENT)
    assert (rows <= 120, spent) == (True, 0), "one that was slow has stopped, and left the rest as it was"
    assert sum("has paused itself" in record.getMessage() for record in caplog.records) == 1
