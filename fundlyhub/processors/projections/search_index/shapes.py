"""How each kind of document is searched: its table, what weighs how much, and what it can be filtered by.

The expressions are SQL over a row of the kind's table, or over one that is about to go there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from fundlyhub.processors.projections.search_index import tables

COMMON = ("created_at", "popularity", "hot", "title_key", "title_vector", "search_vector")
"""Columns that every kind has."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of document. ``weights`` gives the text of each of PostgreSQL's four weights, A the heaviest."""

    kind: str
    table: Table
    key: str
    weights: Mapping[str, str]
    snippet: str
    categories: str
    status: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Its own columns, the key first."""
        return tuple(column.name for column in self.table.columns if column.name not in COMMON)


SHAPES: Mapping[str, Shape] = {
    shape.kind: shape
    for shape in (
        Shape(
            "campaign",
            tables.campaign_search_projection,
            "campaign_id",
            {"A": "title", "B": "concat_ws(' ', summary, beneficiary_name)", "C": "story_text", "D": "location"},
            snippet="concat_ws(' ', summary, story_text)",
            categories="CASE WHEN category_id IS NULL THEN '{}' ELSE ARRAY[category_id::text] END",
            status="status",
        ),
        Shape(
            "user",
            tables.user_search_projection,
            "user_id",
            {"A": "name", "B": "bio", "C": "location"},
            snippet="bio",
            categories="'{}'::text[]",
            status="CASE WHEN is_verified THEN 'verified' ELSE 'unverified' END",
        ),
        Shape(
            "organization",
            tables.organization_search_projection,
            "organization_id",
            {"A": "concat_ws(' ', dba_name, legal_name)", "B": "array_to_string(categories, ' ')", "C": "country"},
            snippet="concat_ws(', ', array_to_string(categories, ', '), country)",
            categories="categories",
            status="verification_status",
        ),
    )
}
"""The kinds by name."""
