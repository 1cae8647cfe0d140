"""A partition of claims is dropped when nothing can ask for it any more, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from fundlyhub.database import connect
from fundlyhub.errors import WrongUse
from fundlyhub.monitoring.claims import Claims
from fundlyhub.monitoring.status import status
from fundlyhub.processing.executor import execute
from fundlyhub.relay.keeper import prune
from fundlyhub.retention import log_marks
from fundlyhub.retention.claims.dropping import drop
from fundlyhub.retention.claims.partitions import make_ahead
from fundlyhub.retention.horizon import horizon, retention_of
from fundlyhub.settings import Settings
from tests.retention.claims.kept import PROCESSORS, RETENTION, SIZE, Kept, another, names, values
from tests.support.processors import TestCountProcessor

CLAIM = "INSERT INTO processed_events VALUES ('test_count', %s, gen_random_uuid())"


def reasons(kept: Kept) -> tuple[str, ...]:
    """What keeps the oldest partition."""
    return kept.judged()[0].kept_by


def test_what_is_old_and_passed_and_holds_nothing_may_go(kept: Kept) -> None:
    kept.applied(25)
    assert reasons(kept) == ("younger than the retention", "not passed by test_count")
    kept.age()
    assert reasons(kept) == ("not passed by test_count",)
    kept.settle()
    assert kept.free() == [(0, 9), (10, 19)]  # the log was in the third when it was marked


def test_an_event_that_is_still_in_an_open_transaction_keeps_its_partition(kept: Kept) -> None:
    """Its position was given out before those that are settled, and it is not to be seen yet."""
    with connect("events") as writer:
        writer.execute("SELECT events.publish_event('search.query.submitted', '{}')")
        kept.applied(25)
        kept.age()
        kept.settle()
        assert reasons(kept) == ("not passed by test_count",)
    kept.settle()
    assert kept.free() == [(0, 9), (10, 19)]


def test_open_letters_and_attempts_keep_their_partition_and_no_other(kept: Kept) -> None:
    sent = kept.publish(*["fine"] * 5, "permanent", *["fine"] * 8, "snooze", *["fine"] * 20)
    make_ahead(kept.db, sent[-1], SIZE)
    execute(TestCountProcessor, sent)
    kept.age()
    kept.settle()
    assert [one.kept_by for one in kept.judged()[:3]] == [
        ("1 open dead letters of test_count",), ("1 attempts of test_count",), (),
    ]  # fmt: skip
    kept.events.execute("UPDATE events.dead_letters SET state = 'discarded'")
    assert kept.free() == [(0, 9), (20, 29)]


def test_a_processor_that_this_code_does_not_know_keeps_them_too(kept: Kept) -> None:
    kept.applied(25)
    kept.age()
    kept.settle()
    kept.events.execute("INSERT INTO events.processors VALUES ('of_another_release', '{search.**}', 0)")
    assert reasons(kept) == ("not passed by of_another_release",)


def test_the_log_is_marked_now_and_then_when_it_has_moved(kept: Kept) -> None:
    assert not log_marks.take(kept.events, 0)
    kept.applied(3)
    assert [log_marks.take(kept.events, 3), log_marks.take(kept.events, 3, every=0)] == [True, False]
    kept.applied(1)
    assert [log_marks.take(kept.events, 4), log_marks.take(kept.events, 4, every=0)] == [False, True]


def test_what_was_applied_is_still_counted_when_its_claims_are_gone(kept: Kept, settings: Settings) -> None:
    kept.applied(25)
    counter, later = (Claims(["test_count"], slice=4) for _ in range(2))
    assert counter.read(kept.db, 5) == {"test_count": 25}
    assert kept.drop_first() == {"test_count": 9}
    assert counter.read(kept.db, 0) in (None, {"test_count": 25})  # it has no time to count all of them at once
    assert counter.read(kept.db, 5) == later.read(kept.db, 5) == {"test_count": 25}
    assert status(kept.events, PROCESSORS)["processors"]["test_count"]["applied"] == 25
    noted = kept.db.execute("SELECT low, high, claims, who FROM dropped_claims").fetchall()
    assert noted == [(0, 9, {"test_count": 9}, "ann")]


def test_pruning_again_finds_nothing(kept: Kept) -> None:
    kept.applied(25)
    kept.age()
    kept.settle()
    both = [list(prune(kept.events, kept.db, "analytics", PROCESSORS, RETENTION, who="ann")) for _ in range(2)]
    assert [[one.low for one in gone] for gone in both] == [[0, 10], []]
    make_ahead(kept.db, 5, SIZE)
    assert names(kept.db)[0] == "processed_events_20"  # what was dropped is not made again
    assert execute(TestCountProcessor, [1, 11, 21]).outcomes == {"dead": 2, "skipped": 1}


def test_of_two_who_drop_at_once_one_does(kept: Kept) -> None:
    kept.applied(25)
    first = kept.first()

    def try_it(db: psycopg.Connection) -> object:
        try:
            return drop(db, first, "ann")
        except psycopg.errors.LockNotAvailable:
            return None

    with ThreadPoolExecutor(2) as pool, another() as a, another() as b:
        done = list(pool.map(try_it, (a, b)))
    assert sorted(done, key=str) in ([None, {"test_count": 9}], [{"test_count": 9}, None])
    assert drop(kept.db, first, "ann") is None
    assert values(kept.db, "SELECT count(*) FROM dropped_claims") == [1]


def test_half_of_it_is_nothing(kept: Kept) -> None:
    kept.applied(25)
    with pytest.raises(WrongUse):  # the last step, when the table is gone already
        drop(kept.db, kept.first(), "")
    assert names(kept.db)[0] == "processed_events_0"
    assert execute(TestCountProcessor, [1, 2]).outcomes == {"skipped": 2}


def test_a_worker_that_has_claimed_in_there_is_not_overtaken(kept: Kept) -> None:
    with another() as worker:
        with worker.transaction():
            worker.execute(CLAIM, (3,))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                kept.drop_first()
            assert names(kept.db)[0] == "processed_events_0"
        assert kept.drop_first() == {"test_count": 1}
        with pytest.raises(psycopg.errors.CheckViolation, match="claims_dropped"):
            worker.execute(CLAIM, (4,))


def test_a_retention_below_what_an_event_may_be_on_its_way_is_refused(settings: Settings) -> None:
    least = horizon(settings, PROCESSORS)
    assert timedelta(days=1) < least < timedelta(days=2)
    days = least / timedelta(days=1)
    assert retention_of(settings, PROCESSORS) is None
    enough = settings.model_copy(update={"claims_retention": days + 0.01})
    assert retention_of(enough, PROCESSORS) == timedelta(days=days + 0.01)
    with pytest.raises(WrongUse, match=r"FUNDLYHUB_CLAIMS_RETENTION must be at least 1\.\d\d days"):
        retention_of(settings.model_copy(update={"claims_retention": days - 0.01}), PROCESSORS)
