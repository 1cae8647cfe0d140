"""Read models in the Analytics DB, each kept by one processor."""

from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.processors.projections.search_index import SearchIndexProcessor

__all__ = ["CampaignStatsProcessor", "SearchIndexProcessor"]
