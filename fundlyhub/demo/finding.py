"""Checking the search: each word of the demo's vocabulary, among campaigns, users and organizations."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.demo import business
from fundlyhub.demo.scenario import DEEDS, FIRST_NAMES, LAST_NAMES, NOUNS
from fundlyhub.processors.projections.search_index.postgres import COUNTED
from fundlyhub.processors.projections.search_index.query import MAX_SIZE, REACH
from fundlyhub.processors.projections.search_index.reading import search
from fundlyhub.settings import Settings

WORDS = {"campaign": DEEDS + NOUNS, "user": FIRST_NAMES + LAST_NAMES, "organization": NOUNS}

_CAST = "SELECT DISTINCT id FROM demo.told WHERE run = %(run)s"


def check_search(settings: Settings, run: int) -> tuple[int, list[dict[str, Any]]]:
    """Check that each word finds exactly the public entities of this run with that word in their name."""
    expected: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    with connect("events", settings=settings) as db:
        cast = {one for (one,) in db.execute(_CAST, {"run": run})}
        for kind, one, name in db.execute(business.PUBLIC, {"run": run}):
            for word in name.split():
                expected[kind, word].add(one)
    hits, wrong = 0, []
    with make_engine("analytics", settings, pooled=False).begin() as analytics:
        for kind, words in WORDS.items():
            for word in words:
                should = expected[kind, word]
                found, total = _find(analytics, kind, word)
                ours = found & cast
                hits += len(ours)
                # Beyond the last page, and among other runs' entities, only the number can be compared.
                right = ours == should if total <= REACH else ours <= should and total >= min(len(should), COUNTED)
                if not right:
                    wrong.append({"what": f"search for {kind} {word!r}", "expected": len(should), "found": len(ours)})
    return hits, wrong


def _find(db: Connection, kind: str, word: str) -> tuple[set[UUID], int]:
    """The ids on all pages, and the total that the search reports."""
    pages = [search(kind, word, page=page, size=MAX_SIZE, db=db) for page in range(1, REACH // MAX_SIZE + 1)]
    return {hit.id for page in pages for hit in page.hits}, pages[0].total
