"""Read models in the Analytics DB, each kept by one processor."""

from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor

__all__ = ["CampaignStatsProcessor"]
