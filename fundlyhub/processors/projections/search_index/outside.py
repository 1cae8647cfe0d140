"""Searching in Elasticsearch: it finds and ranks; what is shown comes from PostgreSQL, and so is never stale."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.channels.breaker import breaker
from fundlyhub.channels.elasticsearch import EngineHit, SearchEngine
from fundlyhub.channels.elasticsearch_schema import Request
from fundlyhub.database.arrays import array
from fundlyhub.processors.projections.search_index.query import Hit, Results, Search, marked, words_of
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.processors.projections.search_index.texts import START, STOP
from fundlyhub.settings import get_settings

_ROWS = """
    SELECT {key}, {title}, left({snippet}, 200), {status}, created_at FROM {table} WHERE {key} = ANY (%(ids)s::uuid[])
"""


@cache
def outside_engine() -> SearchEngine | None:
    """The engine that the settings name; None where PostgreSQL searches. Raises WrongUse without the extra."""
    settings = get_settings()
    if settings.search_backend == "postgres" or settings.elasticsearch_url is None:
        return None
    return SearchEngine(settings.elasticsearch_url.get_secret_value(), breaker("elasticsearch"))


def search(engine: SearchEngine, db: Connection, asked: Search) -> Results:
    """One page of what is found. A hit that may not be found by now, and only the engine does not know, is left out."""
    shape = SHAPES[asked.kind]
    words = " ".join(words_of(asked.query))
    filters = asked.filters
    request = Request(words, filters.categories, filters.statuses, asked.offset, asked.size, (START, STOP))
    found = engine.search(asked.kind, request)
    sql = _ROWS.format(
        key=shape.key, title=shape.weights["A"], snippet=shape.snippet, status=shape.status, table=shape.table
    )
    rows = {row[0]: row for row in db.exec_driver_sql(sql, {"ids": array(hit.id for hit in found.hits)})}
    hits = [_hit(hit, rows[hit.id]) for hit in found.hits if hit.id in rows]
    return Results(found.total, found.exact, hits, found.categories, found.statuses)


def _hit(hit: EngineHit, row: Any) -> Hit:
    one: UUID = row[0]
    _, title, beginning, status, created_at = row
    title_html = marked(hit.marked["title"]) if "title" in hit.marked else escape(title)
    fragment = hit.marked.get("lead") or hit.marked.get("body")
    return Hit(one, title, title_html, marked(fragment or beginning), status, created_at, hit.score)
