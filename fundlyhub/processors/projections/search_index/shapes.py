"""How each kind of document is searched: its table, what weighs how much, and what it can be filtered by.

The expressions are SQL over a row of the kind's table, or over one that is about to go there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMON = ("created_at", "popularity", "hot", "title_key", "title_vector", "search_vector")
"""Columns that every kind has."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of document. ``columns`` are its own ones with their types, the key first.

    ``weights`` gives the text of each of PostgreSQL's four weights, A the heaviest.
    """

    kind: str
    table: str
    key: str
    columns: Mapping[str, str]
    weights: Mapping[str, str]
    snippet: str
    categories: str
    status: str


SHAPES: Mapping[str, Shape] = {
    shape.kind: shape
    for shape in (
        Shape(
            "campaign",
            "campaign_search_projection",
            "campaign_id",
            {
                "campaign_id": "uuid", "title": "text", "summary": "text", "beneficiary_name": "text",
                "story_text": "text", "location": "text", "slug": "text", "category_id": "uuid", "status": "text",
            },
            {"A": "title", "B": "concat_ws(' ', summary, beneficiary_name)", "C": "story_text", "D": "location"},
            snippet="concat_ws(' ', summary, story_text)",
            categories="CASE WHEN category_id IS NULL THEN '{}' ELSE ARRAY[category_id::text] END",
            status="status",
        ),
        Shape(
            "user",
            "user_search_projection",
            "user_id",
            {"user_id": "uuid", "name": "text", "bio": "text", "location": "text", "is_verified": "boolean"},
            {"A": "name", "B": "bio", "C": "location"},
            snippet="bio",
            categories="'{}'::text[]",
            status="CASE WHEN is_verified THEN 'verified' ELSE 'unverified' END",
        ),
        Shape(
            "organization",
            "organization_search_projection",
            "organization_id",
            {
                "organization_id": "uuid", "legal_name": "text", "dba_name": "text", "categories": "text[]",
                "country": "text", "verification_status": "text",
            },
            {"A": "concat_ws(' ', dba_name, legal_name)", "B": "array_to_string(categories, ' ')", "C": "country"},
            snippet="concat_ws(', ', array_to_string(categories, ', '), country)",
            categories="categories",
            status="verification_status",
        ),
    )
}  # fmt: skip
"""The kinds by name."""
