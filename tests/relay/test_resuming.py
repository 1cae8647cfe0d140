"""What follows a pause: probes while it lasts, and all that it held back as soon as it is over, once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from celery import Celery

from fundlyhub.database import connect, get_engine
from fundlyhub.processing import pauses
from fundlyhub.processing.executor import execute
from fundlyhub.processing.pauses.store import pause_after_burst
from fundlyhub.relay.due import PAGE
from fundlyhub.relay.held_back import HeldBack
from fundlyhub.relay.resuming import Resumer
from fundlyhub.settings import Settings
from tests.relay.test_sweep import PROCESSORS, Swept
from tests.support.processors import TestCountProcessor

NAME = "test_count"
ROWS = "SELECT kind, ended_at IS NULL FROM events.processor_pauses"
DUE_NOW = "UPDATE events.processor_pauses SET probe_at = clock_timestamp()"


class Paused(Swept):
    """The same with a resumer, whose broker is empty."""

    def __init__(self, app: Celery, settings: Settings, db: object) -> None:
        super().__init__(app, settings, db)  # type: ignore[arg-type]
        self.held = HeldBack()
        self.resumer = Resumer(app, settings, PROCESSORS, self.held)

    def pause(self) -> None:
        with get_engine("events").begin() as db:
            assert pause_after_burst(db, NAME, reason="KeyError", fingerprint="f", failed=20)

    def pause_by_hand(self) -> None:
        with get_engine("events").begin() as db:
            pauses.pause_by_hand(db, NAME, who="ann", reason="x")

    def end(self) -> None:
        with get_engine("events").begin() as db:
            assert pauses.end(db, NAME, who="ann", details="x")

    def look(self, *, due: bool = False) -> list[list[int]]:
        """One round; the messages that it has sent."""
        if due:
            self.db.execute(DUE_NOW)
        self.resumer.look(self.db)
        return self.taken()

    def rows(self) -> list[tuple[object, ...]]:
        return self.db.execute(ROWS).fetchall()


@pytest.fixture
def paused(settings: Settings) -> Iterator[Paused]:
    """A resumer, and a sweeper with a grace of 10 seconds."""
    from fundlyhub.celery import make_app

    with connect("events", autocommit=True) as db:
        yield Paused(make_app(), settings.model_copy(update={"sweep_grace": 10.0}), db)


def test_a_probe_goes_out_when_it_is_due_with_a_few_of_the_newest_and_then_waits_longer(paused: Paused) -> None:
    sent = paused.publish(*["a"] * 50)
    paused.pause()
    assert paused.look() == [], "not at once"
    assert paused.look(due=True) == [sent[-4:]]
    assert paused.look() == [], "the next one has to wait"
    wait = "SELECT extract(epoch FROM probe_at - clock_timestamp()) FROM events.processor_pauses"
    waits = []
    for _ in range(6):
        paused.look(due=True)
        waits.append(round(float((paused.db.execute(wait).fetchone() or (0,))[0])))
    assert waits == [20, 40, 60, 60, 60, 60]


def test_one_of_those_that_failed_is_among_them(paused: Paused) -> None:
    sent = paused.publish(*["a"] * 50)
    paused.db.execute(
        "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class, fingerprint)"
        " SELECT 'test_count', unnest(%s::bigint[]), 0, now(), now() + interval '1 hour', 'KeyError', 'f'",
        (sent[:20],),
    )
    paused.pause()
    ((*failed, a, b, c, d),) = paused.look(due=True)
    assert [a, b, c, d] == sent[-4:]
    assert len(failed) == 1
    assert failed[0] in sent[:20]


def test_what_waits_behind_many_events_of_others_is_found_too(paused: Paused, settings: Settings) -> None:
    sent = paused.publish("a", "b")
    paused.db.execute("SELECT events.publish_event('user.logged_out', '{}'::jsonb) FROM generate_series(1, 5100)")
    paused.pause()
    assert paused.look(due=True) == [sent]


def test_when_nothing_waits_any_more_the_pause_ends(paused: Paused) -> None:
    paused.pause()
    assert paused.look(due=True) == []
    assert paused.rows() == [("burst", False)]
    paused.look()
    assert paused.rows() == []


def test_while_a_person_pauses_it_nothing_is_probed(paused: Paused) -> None:
    paused.publish("a")
    paused.pause()
    paused.pause_by_hand()
    assert paused.look(due=True) == []


def test_the_sweep_sends_nothing_of_a_paused_processor_neither_what_is_missing_nor_what_is_due(paused: Paused) -> None:
    (failed, *_) = paused.publish("transient", "a", "b")
    execute(TestCountProcessor, [failed])
    paused.db.execute("UPDATE events.attempts SET next_at = now() - interval '1 hour'")
    paused.db.execute("UPDATE events.events SET recorded_at = recorded_at - interval '2 hours'")
    paused.pause_by_hand()
    paused.sweep(0)
    for _ in range(3):
        paused.sweep(11)
    assert paused.taken() == []
    paused.end()
    paused.sweep(11)
    assert sorted(chain(*paused.taken())) == [failed, failed + 1, failed + 2]


def test_all_that_was_held_back_is_sent_when_the_pause_is_over_and_once(paused: Paused) -> None:
    applied = paused.publish("a", "b")
    execute(TestCountProcessor, applied)
    paused.pause()
    held = paused.publish(*["a"] * 250)
    paused.end()
    messages = paused.look()
    assert [len(positions) for positions in messages] == [100, 100, 50]
    assert list(chain(*messages)) == held
    assert paused.rows() == []
    assert paused.look() == []


def test_more_than_a_page_is_sent_at_once(paused: Paused) -> None:
    paused.pause()
    paused.db.execute(
        "SELECT events.publish_event('search.query.submitted', jsonb_build_object('query', 'a'))"
        " FROM generate_series(1, %s)",
        (PAGE + 10,),
    )
    paused.end()
    assert sum(map(len, paused.look())) == PAGE + 10


def test_what_had_failed_is_due_with_it(paused: Paused) -> None:
    (failed, fresh) = paused.publish("fine", "fine")
    paused.db.execute(
        "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class, fingerprint)"
        " VALUES ('test_count', %s, 3, now(), now() + interval '1 hour', 'KeyError', 'f')",
        (failed,),
    )
    paused.pause()
    paused.end()
    assert sorted(paused.look()) == [[failed], [fresh]]


def test_a_relay_that_dies_while_it_sends_leaves_it_to_the_next(paused: Paused) -> None:
    paused.pause()
    held = paused.publish("a", "b")
    paused.end()
    paused.resumer._stop.set()  # as if it had been told to stop
    assert paused.look() == []
    assert paused.rows() == [("burst", False)]
    paused.resumer._stop.clear()
    assert paused.look() == [held]


def test_one_that_is_paused_again_meanwhile_stays_so(paused: Paused) -> None:
    paused.pause()
    paused.publish("a")
    paused.end()
    paused.pause()
    assert paused.look() == []
    assert paused.rows() == [("burst", True)]


def test_when_one_of_two_pauses_is_over_nothing_is_sent(paused: Paused) -> None:
    paused.publish("a")
    paused.pause()
    paused.pause_by_hand()
    with get_engine("events").begin() as db:
        pauses.end(db, NAME, who="worker", details="x", kinds=("burst",))
    assert paused.look() == []
    paused.end()
    assert len(paused.look()) == 1
    assert paused.rows() == []


def test_a_pause_until_a_time_ends_by_itself(paused: Paused) -> None:
    (position,) = paused.publish("a")
    paused.pause_by_hand()
    assert paused.look() == []
    paused.db.execute("UPDATE events.processor_pauses SET until = clock_timestamp()")
    paused.look()
    assert paused.look() == [[position]]


def test_a_pause_of_another_releases_processor_is_left_alone(paused: Paused) -> None:
    with get_engine("events").begin() as db:
        pauses.pause_by_hand(db, "of_another_release", who="ann", reason="x")
        pauses.end(db, "of_another_release", who="ann", details="x")
    assert paused.look() == []
    assert len(paused.rows()) == 1


def test_the_relay_holds_back_what_it_would_send_from_the_first_look_to_the_last(paused: Paused) -> None:
    assert paused.held.names == set()
    paused.pause_by_hand()
    paused.look()
    assert paused.held.names == {"test_count"}
    paused.end()
    paused.look()
    assert paused.held.names == set()
