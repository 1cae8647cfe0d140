"""A pause ends by a probe that succeeds, by a person, or at its time; a probe that fails costs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fundlyhub.database import get_engine
from fundlyhub.processing import pauses
from fundlyhub.processing.executor import execute
from tests.processing.conftest import Query
from tests.processing.deployed import AUDIT, SPENT, Deployed, deployed, pause, probe  # noqa: F401  # a fixture
from tests.processing.look import EFFECTS, LETTERS, positions, publish

pytestmark = pytest.mark.usefixtures("deployed")


def test_a_probe_runs_its_events_alone_and_its_failure_costs_nothing(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.runs.clear()
    for _ in range(30):
        probe(sent[0], sent[30])
        execute(Deployed, [sent[0], sent[30]], ends_wait=True)
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
    assert execute(Deployed, [sent[0], sent[30]], ends_wait=True).outcomes == {"snoozed": 2}
    assert query(LETTERS) == []


def test_a_probe_that_succeeds_ends_the_pause_and_what_failed_is_due(query: Query) -> None:
    Deployed.broken = KeyError()
    sent = publish(*["fine"] * 40)
    execute(Deployed, sent[:20])
    Deployed.broken = None
    probe(sent[0], sent[30])
    assert execute(Deployed, [sent[0], sent[30]], ends_wait=True).outcomes == {"done": 2}
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
    assert execute(Deployed, [bad[0], good[0]], ends_wait=True).outcomes == {"done": 1, "snoozed": 1}
    assert pause() is None


@pytest.mark.chaos  # for its length
def test_a_fault_that_comes_back_is_a_new_burst_and_spends_no_attempt(query: Query) -> None:
    """A service that is up for a moment, again and again, must not use up the attempts of what waits."""
    sent = publish(*["fine"] * 60)
    for round_ in range(20):
        Deployed.broken = KeyError()
        execute(Deployed, sent, ends_wait=True)
        assert pause() is not None, round_
        Deployed.broken = None
        probe(sent[round_])
        execute(Deployed, [sent[round_]], ends_wait=True)
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
    assert execute(Deployed, sent, ends_wait=True).outcomes == {"held": 30}
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
