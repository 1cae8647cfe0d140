"""Events of searches: queries, results, suggestions and clicks."""

from __future__ import annotations

from typing import Literal

from fundlyhub.events.payload import (
    UUID,
    Count,
    Flag,
    Line,
    Link,
    ListOf,
    Number,
    Payload,
    Reference,
    Text,
    WireModel,
)


class SearchFilters(WireModel):
    """The filters of a search."""

    type: Literal["all", "campaign", "user", "organization"] | None = None
    category: UUID | None = None


class SearchOptions(WireModel):
    """The options of a search."""

    max_results: Count | None = None
    include_suggestions: Flag | None = None
    cache_key: Line | None = None


class SearchQuerySubmitted(Payload, type="search.query.submitted", aggregate=("search_session", "session_id")):
    """A search has been submitted."""

    query: Reference
    user_id: UUID | None = None
    filters: SearchFilters | None = None
    session_id: UUID | None = None
    metadata: SearchOptions | None = None


class SearchResult(WireModel):
    """One result of a search."""

    id: UUID
    type: Literal["campaign", "user", "organization"]
    title: Line
    subtitle: Line | None = None
    image: Link | None = None
    snippet: Text | None = None
    link: Link
    relevance_score: Number | None = None
    match_type: Line | None = None


class SearchResultsProjected(Payload, type="search.results.projected", aggregate=("search_query", None)):
    """The results of a search are ready."""

    query: Line
    results: ListOf[SearchResult]
    result_count: Count
    execution_time_ms: Number | None = None
    cached: Flag | None = None


class SearchSuggestion(WireModel):
    """A suggested search."""

    suggestion: Line
    match_type: Literal["typo", "phonetic", "transposition", "abbreviation", "similar"]
    relevance_score: Number
    result_count: Count | None = None


class SearchSuggestionGenerated(Payload, type="search.suggestion.generated", aggregate=("search_query", None)):
    """Other searches have been suggested."""

    original_query: Line
    suggestions: ListOf[SearchSuggestion]
    strategy: Line | None = None


class SearchUserProjectionUpdated(Payload, type="search.user_projection.updated", aggregate=("user", "user_id")):
    """A user's row in the search has changed."""

    user_id: UUID
    name: Line
    email: Line | None = None  # the platform does not check it here
    avatar: Link | None = None
    bio: Text | None = None
    location: Line | None = None
    role: Line
    profile_visibility: Line
    account_status: Line
    is_verified: Flag | None = None
    follower_count: Count | None = None
    campaign_count: Count | None = None
    update_type: Literal["created", "updated", "deleted"]


class SearchAnalyticsRecorded(Payload, type="search.analytics.recorded", aggregate=("search_session", "session_id")):
    """What a user did with the results of a search."""

    query: Line
    result_count: Count
    clicked_result_id: UUID | None = None
    clicked_result_type: Line | None = None
    suggestion_clicked: Flag | None = None
    suggestion_query: Line | None = None
    session_id: UUID | None = None
    user_id: UUID | None = None
    execution_time_ms: Number | None = None
