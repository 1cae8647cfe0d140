"""Each event that a processor wants left one trace: what is missing, double, another's or stuck is found and named."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest

from fundlyhub import publish_events
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections import CampaignStatsProcessor
from fundlyhub.settings import Settings
from fundlyhub.verification.in_flight import Age, is_missing
from tests.support.make import completed
from tests.verification.world import found, relay, sql, verified

LAST = "(SELECT max(position) FROM analytics.processed_events WHERE processor = 'campaign_stats')"
LOSE = f"DELETE FROM analytics.processed_events WHERE processor = 'campaign_stats' AND position = {LAST}"
LETTER = f"""
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
        fingerprint, attempts, first_failed_at, last_failed_at, state)
    SELECT 'campaign_stats', position, id, type, 'KeyError', '', '', 'print', 1, now(), now(), %s
    FROM events.events WHERE position = {LAST}
"""


def last() -> tuple[int, object]:
    """Position and id of the last event that the statistics have taken up."""
    ((position, event_id),) = sql(f"SELECT position, id FROM events.events WHERE position = {LAST}")
    return position, event_id


class TestMissing:
    def test_a_claim_that_is_gone_is_missing_and_so_are_its_rows_too_many(self, at_rest: Settings) -> None:
        position, event_id = last()
        sql(LOSE)
        trace, *rows = found("campaign_stats")
        assert (trace.kind, trace.processor, trace.position, trace.event_id) == (
            "missing", "campaign_stats", position, event_id,
        )  # fmt: skip
        assert {one.table for one in rows} >= {"donation_facts", "campaign_stats_projection"}

    def test_what_is_young_is_in_flight_and_missing_only_for_those_who_waited(self, at_rest: Settings) -> None:
        event = publish_events([completed()])[0]
        relay()
        report = verified("campaign_stats", grace=60.0)
        assert report.ok
        assert report.in_flight == {"campaign_stats": 1}
        report = verified("campaign_stats", grace=60.0, wait=0.5)
        assert [(one.kind, one.position) for one in report.findings.listed] == [("missing", event.position)]
        assert report.in_flight == {}

    def test_what_waits_for_a_paused_processor_is_in_flight_however_long_that_lasts(self, at_rest: Settings) -> None:
        publish_events([completed()])
        relay()
        sql("UPDATE events.events SET recorded_at = now() - interval '1 day'")
        sql("INSERT INTO events.processor_pauses (processor, kind, who, reason)"
            " VALUES ('campaign_stats', 'by hand', 'ann', 'a look at it')")  # fmt: skip
        report = verified("campaign_stats", wait=0.3)
        assert report.ok
        assert report.in_flight == {"campaign_stats": 1}

    def test_what_was_not_relayed_is_in_flight_however_old_it_is(self, at_rest: Settings) -> None:
        publish_events([completed()])
        sql("UPDATE events.events SET recorded_at = now() - interval '1 day'")
        assert verified("campaign_stats").in_flight == {"campaign_stats": 1}
        (one,) = found("campaign_stats", wait=0.3)
        assert (one.kind, one.what) == ("missing", "was not relayed")

    def test_waiting_ends_when_nothing_is_in_flight(self, at_rest: Settings) -> None:
        event = publish_events([completed()])[0]
        relay()
        later = threading.Timer(1, execute, [CampaignStatsProcessor, [event.position]])
        later.start()
        started = time.monotonic()
        assert verified("campaign_stats", wait=60).ok
        assert time.monotonic() - started < 40
        later.join()

    def test_only_what_a_processor_wants_since_it_was_registered_is_asked_for(self, at_rest: Settings) -> None:
        sql("UPDATE events.processors SET from_position = %s WHERE name = 'campaign_stats'", last()[0])
        sql("DELETE FROM analytics.processed_events WHERE processor = 'campaign_stats'")
        assert found("campaign_stats", tables=False) == []

    def test_a_processor_that_no_relay_has_registered_wants_nothing_and_this_is_said(self, at_rest: Settings) -> None:
        sql("DELETE FROM events.processors WHERE name = 'campaign_stats'")
        sql("DELETE FROM analytics.processed_events WHERE processor = 'campaign_stats'")
        report = verified("campaign_stats", tables=False)
        assert report.ok
        assert report.left_out["campaign_stats (traces)"].startswith("no relay has registered it yet")

    def test_what_lies_before_since_is_not_asked_for(self, at_rest: Settings) -> None:
        position, _ = last()
        sql(LOSE)
        report = verified("campaign_stats", since=position)
        assert report.ok
        assert "campaign_stats" in report.left_out
        assert [one.position for one in found("campaign_stats", since=position - 1)] == [position]

    def test_a_sample_of_everything_finds_it(self, at_rest: Settings) -> None:
        position, _ = last()
        sql(LOSE)
        assert position in [one.position for one in found("campaign_stats", sample=10_000)]

    def test_a_letter_that_is_resolved_is_no_trace(self, at_rest: Settings) -> None:
        sql(LETTER, "resolved")
        sql(LOSE)
        assert [one.kind for one in found("campaign_stats", tables=False)] == ["missing"]

    @pytest.mark.parametrize("state", ["open", "discarded", "replayed"])
    def test_a_dead_letter_is_a_trace(self, at_rest: Settings, state: str) -> None:
        sql(LETTER, state)
        sql(LOSE)
        assert [one for one in found("campaign_stats") if one.table is None] == []

    @pytest.mark.parametrize(
        ("relayed", "age", "waited", "expected"),
        [(True, 9, False, False), (True, 10, False, True), (False, 99, False, False), (False, 0, True, True)],
    )
    def test_late_is_what_was_relayed_and_is_old(self, relayed: bool, age: float, waited: bool, expected: bool) -> None:
        assert is_missing(Age(1, uuid4(), relayed, age), patience=10, waited=waited) is expected


def test_a_claim_of_another_event_is_different(at_rest: Settings) -> None:
    position, event_id = last()
    other = uuid4()
    sql(f"UPDATE analytics.processed_events SET event_id = %s WHERE processor = 'campaign_stats' AND position = {LAST}",
        other)  # fmt: skip
    trace = found("campaign_stats")[0]
    assert (trace.kind, trace.position, trace.expected, trace.found) == ("different", position, event_id, other)


def test_a_dead_letter_of_another_event_is_different(at_rest: Settings) -> None:
    position, event_id = last()
    sql(LETTER, "open")
    sql("UPDATE events.dead_letters SET event_id = gen_random_uuid()")
    assert found("campaign_stats") == [], "beside the event's own claim it says nothing"
    sql(LOSE)
    (one,) = found("campaign_stats", tables=False)
    assert (one.kind, one.position, one.event_id) == ("different", position, event_id)
    assert "its dead letter is that of another event" in one.what


def test_a_log_that_lost_its_tail_is_found_by_its_claims(at_rest: Settings) -> None:
    position, event_id = last()
    sql("DELETE FROM events.events WHERE position >= %s", position)
    trace = found("campaign_stats")[0]
    assert (trace.kind, trace.position, trace.event_id) == ("different", position, event_id)
    assert "has it lost its tail?" in trace.what


def test_a_log_that_has_lost_an_event_in_its_middle_is_found_too(at_rest: Settings) -> None:
    ((position,),) = sql("SELECT min(position) FROM events.events WHERE type = 'donation.completed'")
    sql("DELETE FROM events.events WHERE position = %s", position)
    assert position in [one.position for one in found("campaign_stats") if "no event there" in one.what]


def test_an_open_dead_letter_beside_a_claim_is_double(at_rest: Settings) -> None:
    sql(LETTER, "open")
    (one,) = found("campaign_stats")
    assert (one.kind, (one.position, one.event_id)) == ("double", last())


@pytest.mark.parametrize("state", ["replayed", "discarded", "resolved"])
def test_a_dead_letter_that_somebody_has_dealt_with_is_none(at_rest: Settings, state: str) -> None:
    sql(LETTER, state)
    assert found("campaign_stats") == []


def test_an_attempt_that_nobody_makes_is_stuck_and_one_that_is_to_come_is_not(at_rest: Settings) -> None:
    position, event_id = last()
    sql(LOSE)
    sql("INSERT INTO events.attempts VALUES ('campaign_stats', %s, 1, now(), now() + interval '1 hour')", position)
    assert [one for one in found("campaign_stats") if one.table is None] == []
    sql("UPDATE events.attempts SET next_at = now() - interval '1 hour'")
    (one,) = [one for one in found("campaign_stats") if one.table is None]
    assert (one.kind, one.position, one.event_id) == ("stuck", position, event_id)


def test_a_claimed_event_that_cannot_be_read_any_more_is_different(at_rest: Settings) -> None:
    position, _ = last()
    sql("UPDATE events.events SET payload = '{}' WHERE position = %s", position)
    (one,) = [one for one in found("campaign_stats") if one.table is None]
    assert (one.kind, one.position) == ("different", position)
    assert one.what == "claimed, and this code cannot read it: InvalidEvent"
