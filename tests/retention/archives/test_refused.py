"""Who wants events that are away is told to restore them; nobody takes a part of the log for all of it."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from fundlyhub.database import get_engine
from fundlyhub.errors import EventsArchived, WrongState
from fundlyhub.events.archived import Away, among
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters.replaying import choose
from fundlyhub.processing.executor import execute
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.leader import try_to_lead
from fundlyhub.relay.registration import register, starts
from fundlyhub.relay.sweep import Sweeper
from fundlyhub.retention.archives.wanted import missing
from fundlyhub.settings import Settings
from fundlyhub.verification.run import verify
from tests.dead_letters.letters import dead, run
from tests.retention.archives.old import PROCESSORS, Old
from tests.support.command import dsns, fundlyhub
from tests.support.platform import wait_until
from tests.support.processors import TestCountProcessor
from tests.support.publishing import To

LETTER = "SELECT id FROM events.dead_letters ORDER BY position LIMIT 1"


class TestNewProcessor(TestCountProcessor, register=False):
    """Wants all that was ever published."""

    __test__ = False


class TestGiftsProcessor(TestCountProcessor, register=False):
    """Wants what no archive has."""

    __test__ = False
    handles = ("donation.**", "campaign.**")


class TestFromNowOnProcessor(TestCountProcessor, register=False):
    """Wants nothing that was published before it was."""

    __test__ = False
    history = False


def letter_of(old: Old) -> int:
    """A discarded letter whose event is archived, and that somebody has opened again."""
    old.settled("permanent", "fine")
    old.events.execute("UPDATE events.dead_letters SET state = 'discarded'")
    old.archived(2)
    old.events.execute("UPDATE events.dead_letters SET state = 'open'")
    row = old.events.execute(LETTER).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("types", "start", "is_missing"),
    [
        ({"search.query.submitted": 1}, 0, True),
        ({"search.query.submitted": 1}, 8, True),
        ({"search.query.submitted": 1}, 9, False),
        ({"user.logged_in": 1}, 0, False),
        ({"user.logged_in": 1, "donation.initiated": 2}, 0, True),
    ],
)
def test_missing_is_what_lies_after_the_start_and_is_wanted(
    types: dict[str, int], start: int, is_missing: bool
) -> None:
    assert bool(missing([Away(1, 9, types, "f")], TestCountProcessor, start)) is is_missing


def test_positions_are_among_those_of_an_archive_with_its_ends() -> None:
    assert among([1, 2, 5, 6, 8], [Away(2, 5, {}, "f"), Away(8, 9, {}, "g")]) == {2, 5, 8}


def test_a_new_processor_that_wants_them_is_refused_until_they_are_back(old: Old) -> None:
    old.settled("fine", "fine", "fine")
    file = old.archived(2)
    register(old.events, {**PROCESSORS, "test_gifts": TestGiftsProcessor, "test_from_now_on": TestFromNowOnProcessor})
    assert starts(old.events) == {"test_count": 0, "test_gifts": 0, "test_from_now_on": 4}
    new = {**PROCESSORS, "test_new": TestNewProcessor}
    with pytest.raises(EventsArchived, match=f"up to position 2, are archived: run `fundlyhub events restore {file}`"):
        register(old.events, new)
    assert "test_new" not in starts(old.events)
    old.restore(file)
    register(old.events, new)
    assert starts(old.events)["test_new"] == 0


def test_so_is_a_relay_before_it_stands_by(old: Old, settings: Settings) -> None:
    old.settled("fine", "fine", "fine")
    file = old.archived(2)
    old.events.execute("DELETE FROM events.processors")
    environment = {
        **dsns(settings.dsn("events")), "FUNDLYHUB_BROKER_URL": "redis://localhost:1",
        "FUNDLYHUB_PROCESSORS": "tests.support.processors",
    }  # fmt: skip
    assert try_to_lead(old.events, "main")  # it would stand by
    done = fundlyhub("relay", settings=environment)
    said = f"some of them, up to position 2, are archived: run `fundlyhub events restore {file}` first"
    assert done.returncode == 1
    assert f"fundlyhub: test_count wants all events after position 0, and {said}" in done.stderr


def test_a_sweep_that_would_begin_anew_leaves_the_processor_alone(
    old: Old, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has taken claims and the cursor away, to have a read model made anew."""
    from fundlyhub.celery import make_app

    old.settled("fine", "fine", "fine")
    file = old.archived(2)
    old.events.execute("DELETE FROM events.relay_cursors WHERE name = 'sweep:test_count'")
    old.events.execute("DELETE FROM analytics.processed_events")
    sweeper = Sweeper(make_app(), settings.model_copy(update={"sweep_grace": 0.0}), PROCESSORS, 1)
    cursors = {"test_count": SnapshotCursor.take(old.events, "sweep:test_count")}
    sent = "2 events left no trace"
    for restored in (False, True):
        caplog.clear()
        for now in (1.0, 2.0):
            sweeper.sweep(old.events, cursors, now=now)
        assert ("begin with events that are archived: restore them first" in caplog.text) is not restored
        if restored:  # a snapshot that autovacuum holds puts off what is seen

            def found() -> bool:
                sweeper.sweep(old.events, cursors, now=time.monotonic())
                return "4 events left no trace" in caplog.text

            wait_until(found, what="all events in the sweep")
        assert (sent.replace("2", "4") in caplog.text) is restored
        old.restore(file)


def test_a_verification_leaves_out_what_follows_from_all_events(old: Old, settings: Settings) -> None:
    old.settled("fine", "fine", "fine")
    assert verify(settings, PROCESSORS, grace=0).checked["events"] == 4
    file = old.archived(2)
    report = verify(settings, PROCESSORS, grace=0)
    assert (report.findings.listed, report.checked["events"]) == ([], 2)
    assert report.left_out["events up to position 2 that are not in the log"].startswith("they are archived")
    old.restore(file)
    assert verify(settings, PROCESSORS, grace=0).checked["events"] == 4


def test_a_letter_of_an_archived_event_is_not_replayed_until_it_is_back(old: Old) -> None:
    letter = letter_of(old)
    (file,) = old.folder.iterdir()
    with get_engine("events").connect() as db:
        why = f"its event is archived: `fundlyhub events restore {file}` brings it back"
        assert choose(db, [letter]) == ([], {letter: why})
    report = dead_letters.replay([letter], To(run), who="ann")
    assert (report.ends, list(report.unchanged)) == ({}, [letter])
    old.restore(file)
    assert dead_letters.replay([letter], To(run), who="ann").ends == {letter: "failed"}


def test_nor_one_whose_archive_is_announced_while_others_are_replayed(old: Old) -> None:
    first, second = dead("fine", "too")
    announce = """INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who)
                  SELECT position, position, 1, '{}', 'f', '', 0, 'ann' FROM events.dead_letters WHERE id = %s"""
    announced: list[int] = []

    def progress(report: dead_letters.Replayed) -> None:
        if not announced:
            announced.append(second)
            old.events.execute(announce, (second,))

    report = dead_letters.replay([first, second], To(run), who="ann", progress=progress)
    assert report.ends == {first: "applied"}
    assert report.unchanged == {second: "its event is archived: `fundlyhub events restore f` brings it back"}


def test_a_letter_of_an_archived_event_says_where_it_is(old: Old) -> None:
    letter = letter_of(old)
    with get_engine("events").begin() as db:
        shown = dead_letters.show(db, letter)
        assert (shown.event, (shown.absence or "")[:12]) == (None, "is archived:")
        with pytest.raises(WrongState, match=f"the event of dead letter {letter} is archived"):
            dead_letters.draft(db, letter)


def test_a_letter_that_is_imported_is_refused_while_its_event_is_away(old: Old) -> None:
    letter_of(old)
    with get_engine("events").connect() as db:
        exported = b"".join(dead_letters.export_lines(db, dead_letters.Filter()))
    for announced in (False, True):
        if announced:  # and not deleted
            old.restore(next(old.folder.iterdir()))
            old.events.execute("UPDATE events.archives SET restored_at = NULL")
        (report,) = dead_letters.import_lines(io.BytesIO(exported), who="ann")
        ((_, reason),) = report.refused
        assert "at position 1 is archived: `fundlyhub events restore" in reason


def test_a_message_that_comes_late_finds_its_claim_or_nothing_and_says_so(
    old: Old, caplog: pytest.LogCaptureFixture
) -> None:
    positions = old.settled("fine", "fine")
    old.archived(1)
    before: list[Any] = old.events.execute("SELECT * FROM analytics.test_effects").fetchall()
    assert execute(TestCountProcessor, positions).outcomes == {"skipped": 1}
    assert "1 of 2 positions are not in the log, 1 of them archived" in caplog.text
    assert old.events.execute("SELECT * FROM analytics.test_effects").fetchall() == before
