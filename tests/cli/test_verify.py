"""`fundlyhub verify`: what operators see, what programs get, and the exit status."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from fundlyhub import publish_events
from fundlyhub.settings import Settings
from tests.support.command import Done, dsns, fundlyhub
from tests.support.make import completed
from tests.verification.world import OURS, apply, relay, sql

NAMES = ("--processor", "campaign_stats", "--processor", "subscription_write")


@pytest.fixture
def gifts(settings: Settings) -> Settings:
    """A platform with three gifts, taken up by all."""
    publish_events(completed(UUID(int=7)) for _ in range(3))
    relay()
    apply(cls for cls in OURS.values() if cls.queue in ("writes", "projections"))
    return settings


def verify(settings: Settings, *options: str, **variables: str) -> Done:
    """The command, without a broker unless one is given."""
    given = {**dsns(settings.dsn("events")), "COLUMNS": "200", "FUNDLYHUB_SECRET_KEY": "a key for tests", **variables}
    return fundlyhub("verify", *options, settings=given)


def test_nothing_found(gifts: Settings) -> None:
    done = verify(gifts, *NAMES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Compared up to position 3: 3 events" in done.stdout
    assert done.stdout.endswith("Nothing is missing, double, different, stuck or forged.\n")


def test_what_is_found_is_a_table_for_people_and_a_document_for_programs(gifts: Settings) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET donation_count = 4")
    done = verify(gifts, *NAMES)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Found: 2 different" in done.stdout
    assert "donation_count 3" in done.stdout and "donation_count 4" in done.stdout
    done = verify(gifts, *NAMES, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    assert document["ok"] is False
    one = document["findings"][0]
    assert {name: one[name] for name in ("kind", "processor", "position", "event_id", "table", "columns")} == {
        "kind": "different", "processor": "campaign_stats", "position": None, "event_id": None,
        "table": "campaign_stats_projection", "columns": ["donation_count", "average_donation"],
    }  # fmt: skip
    assert (one["expected"]["donation_count"], one["found"]["donation_count"]) == (3, 4)


def test_what_was_left_out_is_said(gifts: Settings) -> None:
    done = verify(gifts, *NAMES, "--sample", "5")
    assert "Sampled: 3 events, 1 campaigns." in done.stdout
    assert "Not compared of subscription_write: its tables: their rows depend on many aggregates" in done.stdout
    variables = {"FUNDLYHUB_PROCESSORS": "tests.support.processors"}
    done = verify(gifts, "--processor", "test_count", **variables)
    assert "Not compared of test_count: its tables: it is not known" in done.stdout


def test_what_is_in_flight_is_said_and_is_no_finding(gifts: Settings) -> None:
    publish_events([completed()])
    done = verify(gifts, *NAMES)
    assert done.returncode == 0
    assert "In flight, which is no finding: 1 campaign_stats." in done.stdout


def test_wrong_use(gifts: Settings) -> None:
    done = verify(gifts, "--processor", "nobody")
    assert done.returncode == 2
    assert done.stderr.startswith("fundlyhub: no such processor: nobody; there are activity_feed, campaign_stats")
    done = verify(gifts, "--repair")
    assert done.returncode == 2
    assert "FUNDLYHUB_BROKER_URL is not set" in done.stderr
    assert verify(gifts, "--sample", "0").returncode == 2


@pytest.mark.chaos  # for its length
def test_a_broker_that_does_not_answer_is_told_and_hinders_nothing(gifts: Settings) -> None:
    done = verify(gifts, *NAMES, FUNDLYHUB_BROKER_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0
    assert "the broker does not tell how much waits in its queues" in done.stderr
