"""The search index: campaigns, users and organizations, as everybody may find them."""

from fundlyhub.processors.projections.search_index.processor import SearchIndexProcessor

__all__ = ["SearchIndexProcessor"]
