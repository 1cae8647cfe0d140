"""Donation totals, counts and averages per campaign and currency."""

from fundlyhub.processors.projections.campaign_stats.processor import CampaignStatsProcessor

__all__ = ["CampaignStatsProcessor"]
