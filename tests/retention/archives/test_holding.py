"""How far the log may be archived: what something may still want stays, with all that is above it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fundlyhub.database import connect
from fundlyhub.errors import WrongState
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.registration import register
from fundlyhub.retention.archives.limits import Limit, decide, judge
from tests.retention.archives.old import HORIZON, PROCESSORS, STATES, Old, during
from tests.retention.claims.kept import values
from tests.support.processors import TestCountProcessor

QUARANTINED = """
    INSERT INTO events.quarantine (stream, entry_id, digest, fields, reason, state)
    VALUES ('events', %s, '', jsonb_build_array(jsonb_build_array('data', %s::text)), 'in conflict', %s)
"""


def kept_by(old: Old, wanted: int = 5) -> list[tuple[int, str]]:
    """What holds back an archive."""
    return [(above, why) for above, why in judge(old.events, wanted, HORIZON).kept_by]


@pytest.mark.parametrize(
    ("wanted", "limits", "high", "held"),
    [
        (10, [], 10, ()),
        (10, [(10, "a"), (99, "b")], 10, ()),
        (10, [(9, "a"), (4, "b"), (12, "c")], 4, ((4, "b"), (9, "a"))),
        (10, [(0, "a")], 0, ((0, "a"),)),
    ],
)
def test_it_goes_as_far_as_the_nearest_limit(
    wanted: int, limits: list[tuple[int, str]], high: int, held: tuple[tuple[int, str], ...]
) -> None:
    decision = decide(1, wanted, [Limit(*one) for one in limits])
    assert (decision.high, tuple(tuple(one) for one in decision.kept_by)) == (high, held)


def test_what_is_young_or_not_passed_or_the_newest_stays(old: Old) -> None:
    old.publish(*["fine"] * 5)
    with connect("events", autocommit=True) as db:
        SnapshotCursor.take(db, "mirror")
    young = "younger than 2.00 days, so that it may still be on its way"
    readers = ["the cursor mirror", "test_count", "the relay"]
    assert kept_by(old) == sorted([(4, "the newest event is never archived"), (0, young),
                                   *((0, f"not passed by {reader}") for reader in readers)])  # fmt: skip
    old.age()
    old.read("main")
    assert kept_by(old) == [(0, "not passed by test_count"), (0, "not passed by the cursor mirror")]
    old.read("sweep:test_count")
    old.events.execute("DELETE FROM events.relay_cursors WHERE name = 'mirror'")
    assert kept_by(old) == []
    assert kept_by(old, 7) == [(5, "not passed by test_count"), (5, "not passed by the relay"), (5, young),
                               (6, "the newest event is never archived")]  # fmt: skip
    assert old.archive(7).decision.high == 5
    assert old.archive(7).written is None
    assert old.positions() == [6, 7]


def test_a_processor_that_this_code_does_not_know_keeps_them_too(old: Old) -> None:
    old.settled(*["fine"] * 5)
    old.events.execute("INSERT INTO events.processors VALUES ('of_another_release', '{search.**}', 0)")
    assert kept_by(old) == [(0, "not passed by of_another_release")]
    old.events.execute("DELETE FROM events.processors")
    assert kept_by(old) == [(0, "no processor is registered")]


def test_an_event_that_is_still_in_an_open_transaction_keeps_what_is_above_it(old: Old) -> None:
    with connect("events") as writer:
        writer.execute("SELECT events.publish_event('search.query.submitted', '{}')")
        old.settled(*["fine"] * 5)
        assert kept_by(old) == [(0, "not passed by test_count"), (0, "not passed by the relay")]
    old.read()
    assert kept_by(old) == []


def test_letters_attempts_and_what_the_quarantine_names_stay_with_all_above_them(old: Old) -> None:
    sent = old.settled("fine", "fine", "snooze", "permanent", "fine", "fine")
    named = values(old.events, "SELECT id FROM events.events WHERE position = 5")[0]
    for state in ("open", "discarded"):
        text = str(named).upper() if state == "open" else "no id"
        old.events.execute(QUARANTINED, (state, f'{{"id": "{text}"}}', state))
    assert kept_by(old, 6) == [
        (2, "1 attempts of test_count, the first at position 3"),
        (3, "1 open dead letters of test_count, the first at position 4"),
        (4, "1 events that open entries of the quarantine name, the first at position 5"),
    ]
    assert old.archive(6).decision.high == 2
    old.events.execute("DELETE FROM events.attempts")
    old.events.execute("UPDATE events.dead_letters SET state = 'discarded'")
    old.events.execute("UPDATE events.quarantine SET state = 'discarded'")
    assert old.archive(6).decision == (3, 6, ())
    assert old.ids() == sent


@pytest.mark.parametrize("step", ["writing", "keeping ids"])
def test_a_letter_that_is_opened_meanwhile_keeps_its_event(old: Old, step: str) -> None:
    old.settled("fine", "permanent", "fine")
    old.events.execute("UPDATE events.dead_letters SET state = 'discarded'")
    before = old.whole()
    with connect("events", autocommit=True) as person:
        reopen = during(step, lambda: person.execute("UPDATE events.dead_letters SET state = 'open'"))
        with pytest.raises(WrongState, match=r"nothing was archived, since meanwhile .* 1 open dead letters"):
            old.archive(3, reopen)
    assert (old.whole(), old.ids(), old.files()) == (before, [], [])
    assert old.events.execute(STATES).fetchall() == []


def test_a_processor_that_is_registered_meanwhile_keeps_them(old: Old) -> None:
    class TestNewProcessor(TestCountProcessor, register=False):
        __test__ = False
        name = "test_new"

    old.settled(*["fine"] * 3)
    with connect("events", autocommit=True) as relay:
        new = {**PROCESSORS, "test_new": TestNewProcessor}
        with pytest.raises(WrongState, match="not passed by test_new"):
            old.archive(3, during("writing", lambda: register(relay, new)))
    assert (old.ids(), old.files()) == ([], [])


def test_an_event_that_came_in_below_meanwhile_is_not_lost(old: Old) -> None:
    """As nobody publishes: only who sets the sequence back."""
    old.settled(*["fine"] * 3)
    late = """INSERT INTO events.events (position, id, type, version, payload, occurred_at) OVERRIDING SYSTEM VALUE
              VALUES (2, gen_random_uuid(), 'search.query.submitted', '1.0.0', '{}', now())"""
    with connect("events", autocommit=True) as person:
        person.execute("DELETE FROM events.events WHERE position = 2")
        with pytest.raises(WrongState, match="the log has 3 events there, and the file 2"):
            old.archive(3, during("keeping ids", lambda: person.execute(late)))
    assert (old.positions(), old.ids()) == ([1, 2, 3, 4], [])


def test_older_than_counts_from_the_marks(old: Old) -> None:
    old.settled(*["fine"] * 3)
    assert judge(old.events, 3, timedelta(days=40)).kept_by == (
        Limit(0, "younger than 40.00 days, so that it may still be on its way"),
    )
