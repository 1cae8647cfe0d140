"""The search index of public campaigns, users and organizations."""

from fundlyhub.processors.projections.search_index.processor import SearchIndexProcessor

__all__ = ["SearchIndexProcessor"]
