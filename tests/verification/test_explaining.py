"""Explaining a row: each event with what it changed, and a live row that differs is named."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import uuid4

import pytest

from fundlyhub import publish_event
from fundlyhub.errors import WrongUse
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections import CampaignStatsProcessor
from fundlyhub.settings import Settings
from fundlyhub.verification.explaining import WITHHELD, Explanation, Step, explain, explainable
from tests.support.command import fundlyhub
from tests.support.make import completed, refunded
from tests.verification.world import BEN, OURS, WELLS, sql

SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'verify%%'"


def moves(told: Explanation, column: str) -> list[tuple[str | None, str | None]]:
    """The values of a column before and after each event that changed it."""
    return [row[column] for step in told.steps for row in step.changed.values() if column in row]


def test_each_event_is_told_with_what_it_changed(settings: Settings) -> None:
    campaign = uuid4()
    first, second = completed(campaign, amount=Decimal(10)), completed(campaign, amount=Decimal(25))
    sent = [publish_event(one) for one in (first, second, refunded(first.donation_id, "4"))]
    publish_event(completed(uuid4(), amount=Decimal(99)))
    execute(CampaignStatsProcessor, [event.position or 0 for event in sent])
    waits = publish_event(completed(campaign, amount=Decimal(1_000)))
    told = explain(settings, CampaignStatsProcessor, campaign)
    assert [step.position for step in told.steps] == [*(event.position for event in sent), waits.position]
    assert [step.applied for step in told.steps] == [True, True, True, False]
    assert [(was and float(was), float(now or 0)) for was, now in moves(told, "total_raised")] == [
        (None, 10), (10, 35), (35, 31),
    ]  # fmt: skip
    assert told.steps[-1].changed == {}
    assert told.rows == told.live
    assert told.differs == ()
    assert explain(settings, CampaignStatsProcessor, campaign, limit=2).earlier == 2
    assert explain(settings, CampaignStatsProcessor, campaign, limit=2).rows == told.rows
    assert sql(SCHEMAS) == [(0,)]


def test_a_live_row_that_differs_is_named(settings: Settings) -> None:
    campaign = uuid4()
    event = publish_event(completed(campaign, amount=Decimal(10)))
    execute(CampaignStatsProcessor, [event.position or 0])
    sql("UPDATE analytics.campaign_stats_projection SET donation_count = 7, first_donation_at = now()")
    told = explain(settings, CampaignStatsProcessor, campaign)
    assert len(told.differs) == 1
    assert "donation_count" in told.differs[0]
    assert "first_donation_at" in told.differs[0]
    given = {f"FUNDLYHUB_{name}_DSN": settings.dsn("events") for name in ("EVENTS", "APP", "ANALYTICS")}
    done = fundlyhub("explain", "campaign_stats", str(campaign), settings=given)
    assert done.returncode == 1
    assert "The live rows differ: " in done.stdout
    document = json.loads(fundlyhub("explain", "campaign_stats", str(campaign), "--json", settings=given).stdout)
    assert (document["rows"][0]["donation_count"], document["live"][0]["donation_count"]) == ("1", "7")
    wrong = fundlyhub("explain", "recipient_write", str(campaign), settings=given)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert (
        "those of activity_feed, campaign_stats, reference_write, search_index, subscription_write can" in wrong.stderr
    )


def test_a_campaign_without_an_event_has_nothing_to_explain(settings: Settings) -> None:
    told = explain(settings, CampaignStatsProcessor, uuid4())
    assert (told.steps, told.rows, told.live, told.differs) == ((), {}, {}, ())


def moved(step: Step) -> list[tuple[str, set[str]]]:
    """The rows that an event moved: table, and what their keys hold."""
    return [(table, set(key)) for table, *key in step.changed]


def test_rows_of_other_processors_are_explained_by_user_or_campaign_without_personal_values(at_rest: Settings) -> None:
    told = explain(at_rest, OURS["subscription_write"], BEN)
    assert told.differs == ()
    assert told.rows == told.live
    (made,) = [step for step in told.steps if ("follows", {str(BEN), str(WELLS), "campaign"}) in moved(step)]
    assert made.type == "user.followed_campaign"
    assert ("follow_counts", {str(BEN), "user"}) in moved(made)
    told = explain(at_rest, OURS["search_index"], BEN)
    (named,) = [row for key, row in told.rows.items() if key[0] == "user_search_projection"]
    assert named["name"] == WITHHELD
    assert "Ben B." not in str(told)
    assert any("name" in columns for step in told.steps for columns in step.changed.values())
    assert (told.differs, told.rows) == ((), told.live)
    sql("UPDATE app.follow_counts SET following_count = 77 WHERE id = %s", BEN)
    assert "following_count" in str(explain(at_rest, OURS["subscription_write"], BEN).differs)
    told = explain(at_rest, OURS["activity_feed"], WELLS)
    assert (told.differs, told.rows) == ((), told.live)
    assert {key[0] for key in told.rows} >= {"activities", "timeline_entries"}


def test_which_processors_can_be_explained(settings: Settings) -> None:
    assert list(explainable(OURS)) == [
        "activity_feed", "campaign_stats", "reference_write", "search_index", "subscription_write",
    ]  # fmt: skip
    with pytest.raises(WrongUse):
        explain(settings, OURS["recipient_write"], uuid4())
