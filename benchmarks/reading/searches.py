"""Searches over many campaigns whose words are as common and as rare as those of a language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import md5
from itertools import accumulate
from random import Random
from uuid import UUID

from sqlalchemy import Connection, event

from benchmarks.reading.plan import Measured, median_ms, planned
from fundlyhub.processors.projections.search_index.query import Filters, Results
from fundlyhub.processors.projections.search_index.reading import search

WORDS = 30_000
"""In the vocabulary, the n-th of them n times as rare as the first."""
PLANNED = ("the most common word", "a word of medium rarity", "a word with a typo")
LETTERS = str.maketrans("0123456789", "ghijklmnop")

_STAGE = "CREATE TEMP TABLE stage (n int, title text, summary text, story text)"
# As the processor makes them; see search_index/store.py.
_INSERT = """
    INSERT INTO campaign_search_projection
        (campaign_id, title, summary, beneficiary_name, story_text, location, slug, category_id, status, created_at,
         popularity, hot, title_key, title_vector, search_vector)
    SELECT gen_random_uuid(), title, summary, '', story, '', NULL,
           ('00000000-0000-0000-0000-' || lpad(mod(n, 12)::text, 12, '0'))::uuid,
           CASE WHEN mod(n, 4) = 0 THEN 'ended' ELSE 'active' END, now() - mod(n, 1500) * interval '1 day', mod(n, 13),
           now() - mod(n, 1500) * interval '1 day' + mod(n, 13) * interval '30 days', title,
           made.vector, made.vector || setweight(to_tsvector('search_stem', summary), 'B')
               || setweight(to_tsvector('search_plain', summary), 'B')
               || setweight(to_tsvector('search_stem', story), 'C')
    FROM stage, LATERAL (SELECT setweight(to_tsvector('search_stem', title), 'A')
                              || setweight(to_tsvector('search_plain', title), 'A')) AS made(vector)
"""


def vocabulary() -> list[str]:
    """Words of four to eleven letters, always the same."""
    return [md5(str(n).encode()).hexdigest().translate(LETTERS)[: 4 + n % 8] for n in range(WORDS)]  # noqa: S324


def fill(db: Connection, campaigns: int) -> None:
    """Make this many campaigns, with stories of eighty words."""
    words, rng = vocabulary(), Random(1)
    weights = list(accumulate(1 / (n + 1) for n in range(WORDS)))

    def some(count: int) -> str:
        return " ".join(rng.choices(words, cum_weights=weights, k=count))

    db.exec_driver_sql(_STAGE)
    connection = db.connection.driver_connection
    assert connection is not None
    with connection.cursor() as cursor, cursor.copy("COPY stage FROM STDIN") as copy:
        for n in range(campaigns):
            copy.write_row((n, some(4), some(12), some(80)))
    db.exec_driver_sql(_INSERT)


def questions() -> Iterator[tuple[str, str, Filters]]:
    """What is asked: what for, which words, which filters."""
    words = vocabulary()
    category = str(UUID(int=5))
    yield "the most common word", words[0], Filters()
    yield "a common word and a rare one", f"{words[3]} {words[9_000]}", Filters()
    yield "a word of medium rarity", words[300], Filters()
    yield "the same in one category and status", words[300], Filters((category,), ("active",))
    yield "a rare word", words[20_000], Filters()
    yield "the beginning of a word", words[303][:4], Filters()
    swapped = words[2_007]
    yield "a word with a typo", swapped[:3] + swapped[4] + swapped[3] + swapped[5:], Filters()
    yield "nothing: everything", "", Filters()


def reads(db: Connection) -> list[Measured]:
    """The questions' times, each whole: words to query, counts and facets, page and snippets."""
    found = []
    for what, words, filters in questions():

        def ask(words: str = words, filters: Filters = filters) -> Results:
            return search("campaign", words, filters, db=db)

        ms = median_ms(ask)
        total = ask().total
        plan = _plans(db, ask) if what in PLANNED else None
        found.append(Measured(what, total, ms, plan))
    return found


def _plans(db: Connection, ask: object) -> str:
    """The plans of the statements that a search really sends."""
    sent: list[tuple[str, object]] = []

    def note(_: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        sent.append((statement, parameters))

    event.listen(db, "before_cursor_execute", note)
    try:
        ask()  # type: ignore[operator]
    finally:
        event.remove(db, "before_cursor_execute", note)
    plans: Sequence[str] = [planned(db, sql, given) for sql, given in sent if "WITH" in sql]  # type: ignore[arg-type]
    return "\n\n".join(plans)
