"""Events of searches: queries, results, suggestions and clicks."""

from __future__ import annotations

from typing import Annotated, Literal

from fundlyhub.events.payload import UUID, Count, Flag, Line, Link, ListOf, Number, Payload, Reference, Text, WireModel
from fundlyhub.events.personal import CODE, NOBODYS, Personal


class SearchFilters(WireModel):
    """The filters of a search."""

    type: Literal["all", "campaign", "user", "organization"] | None = None
    category: UUID | None = None


class SearchOptions(WireModel):
    """The options of a search."""

    max_results: Count | None = None
    include_suggestions: Flag | None = None
    cache_key: Annotated[Line | None, Personal("text", "user_id")] = None


class SearchQuerySubmitted(Payload, type="search.query.submitted", aggregate=("search_session", "session_id")):
    """A search has been submitted."""

    query: Annotated[Reference, Personal("text", "user_id")]
    user_id: UUID | None = None
    filters: SearchFilters | None = None
    session_id: UUID | None = None
    metadata: SearchOptions | None = None


class SearchResult(WireModel):
    """One result of a search."""

    id: UUID
    type: Literal["campaign", "user", "organization"]
    title: Annotated[Line, Personal("name", "id")]
    subtitle: Annotated[Line | None, Personal("text", "id")] = None
    image: Annotated[Link | None, Personal("picture", "id")] = None
    snippet: Annotated[Text | None, Personal("text", "id")] = None
    link: Annotated[Link, Personal("link", "id")]
    relevance_score: Number | None = None
    match_type: Annotated[Line | None, CODE] = None


class SearchResultsProjected(Payload, type="search.results.projected", aggregate=("search_query", None)):
    """The results of a search are ready."""

    query: Annotated[Line, NOBODYS]
    results: ListOf[SearchResult]
    result_count: Count
    execution_time_ms: Number | None = None
    cached: Flag | None = None


class SearchSuggestion(WireModel):
    """A suggested search."""

    suggestion: Annotated[Line, NOBODYS]
    match_type: Annotated[Literal["typo", "phonetic", "transposition", "abbreviation", "similar"], CODE]
    relevance_score: Number
    result_count: Count | None = None


class SearchSuggestionGenerated(Payload, type="search.suggestion.generated", aggregate=("search_query", None)):
    """Other searches have been suggested."""

    original_query: Annotated[Line, NOBODYS]
    suggestions: ListOf[SearchSuggestion]
    strategy: Annotated[Line | None, CODE] = None


class SearchUserProjectionUpdated(Payload, type="search.user_projection.updated", aggregate=("user", "user_id")):
    """A user's row in the search has changed."""

    user_id: UUID
    name: Annotated[Line, Personal("name", "user_id")]
    email: Annotated[Line | None, Personal("address", "user_id")] = None  # the platform does not check it here
    avatar: Annotated[Link | None, Personal("picture", "user_id")] = None
    bio: Annotated[Text | None, Personal("text", "user_id")] = None
    location: Annotated[Line | None, Personal("place", "user_id")] = None
    role: Annotated[Line, CODE]
    profile_visibility: Annotated[Line, CODE]
    account_status: Annotated[Line, CODE]
    is_verified: Flag | None = None
    follower_count: Count | None = None
    campaign_count: Count | None = None
    update_type: Literal["created", "updated", "deleted"]


class SearchAnalyticsRecorded(Payload, type="search.analytics.recorded", aggregate=("search_session", "session_id")):
    """What a user did with the results of a search."""

    query: Annotated[Line, Personal("text", "user_id")]
    result_count: Count
    clicked_result_id: UUID | None = None
    clicked_result_type: Annotated[Line | None, CODE] = None
    suggestion_clicked: Flag | None = None
    suggestion_query: Annotated[Line | None, Personal("text", "user_id")] = None
    session_id: UUID | None = None
    user_id: UUID | None = None
    execution_time_ms: Number | None = None
