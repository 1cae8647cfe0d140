"""Lists and groups of dead letters: each filter, and that they stay quick when there are very many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub import publish_events
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongState
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, finding, grouping, replaying, show
from fundlyhub.processing.executor import execute
from tests.dead_letters.letters import Broken, correct, dead, discard
from tests.processing.conftest import Query
from tests.processing.look import by_sql, publish
from tests.support.make import initiated
from tests.support.processors import TestCountProcessor

MANY = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
        fingerprint, attempts, first_failed_at, last_failed_at, state, aggregate_id)
    SELECT 'p' || n %% 7, n, gen_random_uuid(), 'donation.completed', 'KeyError', 'text withheld', repeat('frame ', 99),
           left(md5((n %% 50)::text), 12), 5, now() - n * interval '1 s', now() - n * interval '1 s',
           CASE n %% 10 WHEN 0 THEN 'resolved' ELSE 'open' END, 'a' || n
    FROM generate_series(1, %s) AS n
"""


def found(**wanted: Any) -> list[int]:
    with get_engine("events").begin() as db:
        return sorted(letter.position for letter in dead_letters.find(db, Filter(**wanted), limit=100))


def test_each_filter_finds_its_letters(query: Query) -> None:
    event = publish_events([initiated()])[0]
    execute(Broken, [1])
    execute(TestCountProcessor, publish("permanent", "permanent"))
    execute(TestCountProcessor, [by_sql(query, "search.query.submitted", "{}")])
    query("UPDATE events.dead_letters SET last_failed_at = now() - interval '3 hours' WHERE position = 2")
    query("UPDATE events.dead_letters SET processor = 'another' WHERE position = 3")
    assert found() == [1, 2, 3, 4]
    assert found(processor="another") == [3]
    assert found(type="donation.initiated") == [1]
    assert found(error="InvalidEvent") == [4]
    assert found(older_than=timedelta(hours=2)) == [2]
    assert found(newer_than=timedelta(hours=2)) == [1, 3, 4]
    assert found(aggregate_id=event.aggregate_id) == [1]
    assert found(aggregate_type="donation", aggregate_id=event.aggregate_id) == [1]
    assert found(aggregate_type="campaign", aggregate_id=event.aggregate_id) == []
    (fingerprint,) = query("SELECT fingerprint FROM events.dead_letters WHERE position = 4")[0]
    assert found(fingerprint=fingerprint) == [4]
    assert found(fingerprint=fingerprint, error="Permanent") == []
    discard(*(id for (id,) in query("SELECT id FROM events.dead_letters WHERE position = 4")))
    assert found() == [1, 2, 3]
    assert found(state="discarded") == [4]
    assert found(state=None) == [1, 2, 3, 4]


def test_the_newest_failure_comes_first_and_a_limit_is_kept(query: Query) -> None:
    dead("a", "b", "c")
    query("UPDATE events.dead_letters SET last_failed_at = now() + interval '1 s' WHERE position = 2")
    with get_engine("events").begin() as db:
        letters = dead_letters.find(db, Filter(), limit=2)
        assert [letter.position for letter in letters] == [2, 3]
        assert dead_letters.count(db, Filter()) == 3
        end = letters[-1].last_failed_at, letters[-1].id
        assert [letter.position for letter in dead_letters.find(db, Filter(before=end), limit=9)] == [1]
        assert len(dead_letters.ids(db, Filter(), limit=2)) == 2
        assert dead_letters.ids(db, Filter()) == sorted(
            letter.id for letter in dead_letters.find(db, Filter(), limit=9)
        )


def test_groups_tell_how_many_since_when_and_name_a_sample(query: Query) -> None:
    first, *_, last = dead("a", "b", "c")
    execute(TestCountProcessor, publish("permanent"))
    query("UPDATE events.dead_letters SET first_failed_at = now() - interval '1 day' WHERE id = %s", first)
    with get_engine("events").begin() as db:
        many, one = dead_letters.groups(db, Filter(), limit=10)
    assert (many.letters, many.sample, many.message, many.recent) == (3, last, "a fault of ours", 3)
    assert many.last_failed_at - many.first_failed_at > timedelta(hours=23)
    assert (one.letters, one.message, one.processor, one.error) == (1, "never", "test_count", "Permanent")


def test_one_letter_with_all_about_it_and_no_word_of_the_event(query: Query) -> None:
    (id,) = dead("a-secret-word")
    correct(id, {"query": "another-secret"}, reason="typo")
    with get_engine("events").begin() as db:
        shown = show(db, id)
        whole = show(db, id, payload=True)
    assert "secret" not in str(shown)
    assert shown.letter.corrected
    assert "handle_batch" in shown.traceback
    assert [(entry.who, entry.action) for entry in shown.timeline] == [("worker", "failed"), ("ann", "edited")]
    assert shown.event is not None
    assert (shown.event.id, shown.event.type) == (shown.letter.event_id, "search.query.submitted")
    assert whole.content is not None
    assert "a-secret-word" in whole.content.payload
    assert "another-secret" in str(whole.content.corrected_payload)


def test_a_letter_whose_event_is_gone_is_shown_without_it(query: Query) -> None:
    (id,) = dead("a")
    query("UPDATE events.events SET id = %s", uuid4())
    with get_engine("events").begin() as db:
        shown = show(db, id, payload=True)
        assert (shown.event, shown.content) == (None, None)
        with pytest.raises(WrongState, match="there is no dead letter 999"):
            show(db, 999)


def plan(wanted: Filter, sql: str, *, table: bool = True, **more: Any) -> str:
    """How PostgreSQL finds it; without ``table`` it may not read the table from end to end, small as it is here."""
    with get_engine("events").begin() as db:
        if not table:
            db.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explained = db.exec_driver_sql(f"EXPLAIN (ANALYZE) {wanted.query(sql)}", wanted.values(**more))
        return "\n".join(row[0] for row in explained)


@pytest.mark.chaos  # for its length
def test_a_hundred_thousand_letters_are_listed_by_indexes(query: Query) -> None:
    query(MANY, 100_000)
    query("CHECKPOINT")  # with synchronous_commit off, nothing is all visible before
    query("VACUUM (ANALYZE) events.dead_letters")
    newest = plan(Filter(), finding._FIND, limit=50)
    assert "dead_letters_newest_idx" in newest
    assert "Sort" not in newest
    for wanted in (Filter(fingerprint="c81e728d9d4c"), Filter(aggregate_id="a7"), Filter(state="resolved")):
        assert "Seq Scan on dead_letters" not in plan(wanted, finding._FIND, limit=50)
    groups = plan(Filter(), finding._GROUPS, table=False, limit=50, most=200_000)
    assert "Index Only Scan using dead_letters_faults_idx" in groups
    assert "Heap Fetches: 0" in groups, "all that groups count is in the index"
    parts = plan(Filter(), grouping._PARTS, table=False, most=200_000)
    assert "Index Only Scan using dead_letters_faults_idx" in parts
    assert "Heap Fetches: 0" in parts, "and all that is counted by type too"
    chosen = plan(Filter(fingerprint="c81e728d9d4c"), replaying._MEANT, table=False, limit=10_000)
    assert "Index Only Scan using dead_letters_chosen_idx" in chosen
    assert "Heap Fetches: 0" in chosen, "and all by which a fault's letters are chosen"
    assert "Sort" not in chosen
    with get_engine("events").begin() as db:
        assert len(dead_letters.find(db, Filter(processor="p3"), limit=50)) == 50
        assert sum(group.letters for group in dead_letters.groups(db, Filter(), limit=100)) == 90_000
