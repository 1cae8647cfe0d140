"""Searching in PostgreSQL: few candidates by cheap means, then the best of them by all that counts.

A common word stands in the stories of half of all campaigns; to rank all of these would take seconds. So the
candidates are those with the words in the title, those with the words anywhere, and, when these are few, those
with a title much like them; of each sort the most popular and newest. Only they are ranked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from fundlyhub.processors.projections.search_index.query import Hit, Results, Search, marked, words_of
from fundlyhub.processors.projections.search_index.shapes import SHAPES, Shape
from fundlyhub.processors.projections.search_index.texts import START, STOP

CANDIDATES = 600
"""Of each sort, at most."""
COUNTED = 10_000
"""Matches that are counted at most; beyond, numbers are lower bounds."""
FEW = 20
"""Matches below which a typo is thought of."""
LIKENESS = 0.45
"""Share of a word's trigrams that a title must have: a wrong letter, or two that changed places."""
SHORTEST = 4
"""Letters of a word that may hold a typo."""

_ASK = """
    SELECT search_query(%(words)s::text[])::text,
           set_config('pg_trgm.word_similarity_threshold', %(likeness)s, true),
           (SELECT quote_ident(extnamespace::regnamespace::text) FROM pg_extension WHERE extname = 'pg_trgm')
"""

_CANDIDATES = """(
    SELECT {key} FROM {table}
    WHERE {match} AND {in_categories} AND {in_statuses}
    ORDER BY hot DESC
    LIMIT %(candidates)s
)"""

_PAGE = """
    WITH candidates AS MATERIALIZED ({candidates}),
    ranked AS (
        SELECT found.*,
               (ts_rank('{{0.1, 0.25, 0.5, 1.0}}', search_vector, %(query)s::tsquery, 1)
                + 0.5 * {trigrams}.word_similarity(%(typed)s, title_key)
                + CASE WHEN title_key = %(typed)s THEN 1 ELSE 0 END)
               * (1 + 0.05 * popularity)
               * (1 + 0.5 * exp(-age_days / 60.0)) AS score
        FROM candidates JOIN {table} AS found USING ({key}),
             LATERAL (SELECT greatest(0, extract(epoch FROM now() - coalesce(created_at, 'epoch'))) / 86400)
                 AS age(age_days)
    ),
    page AS MATERIALIZED (SELECT * FROM ranked ORDER BY score DESC, {key} LIMIT %(size)s OFFSET %(offset)s)
    SELECT {key}, {title}, ts_headline('search_stem', {title}, %(query)s::tsquery, %(whole)s),
           ts_headline('search_stem', left({snippet}, 20000), %(query)s::tsquery, %(part)s),
           {status}, created_at, score
    FROM page ORDER BY score DESC, {key}
"""

_FACETS = """
    WITH matched AS MATERIALIZED (
        SELECT {in_categories} AS in_categories, {in_statuses} AS in_statuses,
               {categories} AS categories, {status} AS status
        FROM {table} WHERE {match} LIMIT %(counted)s + 1
    )
    SELECT 'seen', '', count(*) FROM matched
    UNION ALL SELECT 'total', '', count(*) FROM matched WHERE in_categories AND in_statuses
    UNION ALL SELECT 'status', status, count(*) FROM matched WHERE in_categories GROUP BY status
    UNION ALL SELECT 'category', name, count(*) FROM matched, unnest(categories) AS name WHERE in_statuses GROUP BY name
"""

_MARKS = f'StartSel="{START}", StopSel="{STOP}"'
_HEADLINES = {"whole": f"{_MARKS}, HighlightAll=true", "part": f"{_MARKS}, MaxFragments=1, MinWords=10, MaxWords=30"}


class Statements(NamedTuple):
    """The SQL of one request, whose parts come from its kind's shape and nothing from its user."""

    page: str
    facets: str


def search(db: Connection, asked: Search) -> Results:
    """One page of what is found, in the Analytics DB. No words are an error: none at all find everything."""
    shape, words = SHAPES[asked.kind], words_of(asked.query)
    query, _, trigrams = db.exec_driver_sql(_ASK, {"words": words, "likeness": str(LIKENESS)}).one()
    typos = {f"typo_{n}": word for n, word in enumerate(words) if len(word) >= SHORTEST}
    given = {**_given(asked), **_HEADLINES, "query": query, "typed": " ".join(words), **typos}
    statements = _statements(shape, trigrams, _by_words(query))
    counts = _count(db, statements, given)
    if typos and counts["seen"][""] < FEW:
        alike = " AND ".join(f"%({name})s OPERATOR({trigrams}.<%%) title_key" for name in typos)
        statements = _statements(shape, trigrams, (*_by_words(query), f"({alike})"))
        counts = _count(db, statements, given)
    rows = db.exec_driver_sql(statements.page, given).all()
    hits = [Hit(row[0], row[1], marked(row[2]), marked(row[3]), *row[4:]) for row in rows]
    return Results(
        min(counts["total"][""], COUNTED),
        counts["seen"][""] <= COUNTED,
        hits,
        dict(counts["category"]),
        dict(counts["status"]),
    )


def _given(asked: Search) -> Mapping[str, Any]:
    return {
        "categories": list(asked.filters.categories),
        "statuses": list(asked.filters.statuses),
        "size": asked.size,
        "offset": asked.offset,
        "candidates": CANDIDATES,
        "counted": COUNTED,
    }


def _by_words(query: str) -> tuple[str, ...]:
    """The conditions of the sorts of candidates; the last one that has words holds all the others."""
    if not query:
        return ("true",)
    return "title_vector @@ %(query)s::tsquery", "search_vector @@ %(query)s::tsquery"


def _statements(shape: Shape, trigrams: str, matches: Sequence[str]) -> Statements:
    names = {
        "key": shape.key,
        "table": shape.table,
        "title": shape.weights["A"],
        "snippet": shape.snippet,
        "categories": shape.categories,
        "status": shape.status,
        "trigrams": trigrams,
        "in_categories": f"(%(categories)s::text[] = '{{}}' OR {shape.categories} && %(categories)s::text[])",
        "in_statuses": f"(%(statuses)s::text[] = '{{}}' OR {shape.status} = ANY (%(statuses)s::text[]))",
    }
    candidates = " UNION ".join(_CANDIDATES.format(match=match, **names) for match in matches)
    return Statements(
        _PAGE.format(candidates=candidates, **names),
        _FACETS.format(match="(" + " OR ".join(matches[-2:]) + ")", **names),
    )


def _count(db: Connection, statements: Statements, given: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for facet, name, count in db.exec_driver_sql(statements.facets, given).all():
        counts[facet][name] = count
    return counts
