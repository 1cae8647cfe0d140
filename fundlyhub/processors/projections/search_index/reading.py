"""Searching, whichever engine answers: what an API service and the command line call.

Where Elasticsearch is set and cannot answer, PostgreSQL does, which always has the same documents.
"""

from __future__ import annotations

from logging import getLogger

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.errors import ProcessingError
from fundlyhub.observability.redaction import describe
from fundlyhub.processors.projections.search_index import outside, postgres
from fundlyhub.processors.projections.search_index.outside import outside_engine
from fundlyhub.processors.projections.search_index.query import Filters, Results, Search

log = getLogger(__name__)


def search(
    kind: str,
    query: str,
    filters: Filters | None = None,
    page: int = 1,
    *,
    size: int = 20,
    db: Connection | None = None,
) -> Results:
    """One page of the public campaigns, users or organizations that match ``query``.

    ``query`` is free text, and never an error. ``db`` is a connection to the Analytics DB
    whose search_path is ours; without one, a pooled one is taken. Raises WrongUse for a kind, page or size
    that cannot be.
    """
    asked = Search(kind, query, filters or Filters(), page, size)
    if db is not None:
        return _search(db, asked)
    with get_engine("analytics").begin() as own:
        return _search(own, asked)


def _search(db: Connection, asked: Search) -> Results:
    engine = outside_engine()
    if engine is None:
        return postgres.search(db, asked)
    try:
        return outside.search(engine, db, asked)
    except ProcessingError as error:
        log.warning("searching in PostgreSQL instead: %s", describe(error))
        return postgres.search(db, asked)
