"""The latency of a processor is that of its newest claims, from publication to effect."""

from __future__ import annotations

import pytest

from fundlyhub import publish_events
from fundlyhub.database import connect
from fundlyhub.monitoring.latency import Latency, latencies, latency
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.processors.writes.activity_feed import ActivityFeedProcessor
from fundlyhub.settings import Settings
from tests.support.make import completed

CLAIM = """
    INSERT INTO analytics.processed_events (processor, position, event_id, processed_at)
    SELECT 'campaign_stats', position, id, recorded_at + make_interval(secs => row_number() OVER (ORDER BY position))
    FROM events.events
"""


def test_the_newest_claims_count_and_a_processor_without_one_has_no_latency(settings: Settings) -> None:
    publish_events([completed() for _ in range(10)])
    with connect("events", autocommit=True) as db:
        db.execute(CLAIM)
        db.execute("DELETE FROM events.events WHERE position = (SELECT max(position) FROM events.events)")  # archived
    processors = {"campaign_stats": CampaignStatsProcessor, "activity_feed": ActivityFeedProcessor}
    assert latencies(processors) == {"campaign_stats": Latency(5.0, 9.0, 9)}
    assert latencies(processors, newest=4) == {"campaign_stats": Latency(8.0, 9.0, 3)}


@pytest.mark.parametrize(
    ("seconds", "found"),
    [([4.0], (4.0, 4.0, 1)), ([2.0, 1.0], (1.0, 2.0, 2)), ([float(n) for n in range(1, 201)], (100.0, 198.0, 200))],
)
def test_percentiles_are_values_that_were_measured(seconds: list[float], found: tuple[float, float, int]) -> None:
    assert latency(seconds) == Latency(*found)
