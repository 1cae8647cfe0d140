"""The door to Elasticsearch: versions guard every write, aliases change at once, errors say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from fundlyhub.channels.breaker import DEFAULTS, Breaker
from fundlyhub.channels.elasticsearch import EngineHits, SearchEngine, TooLarge, Versioned
from fundlyhub.channels.elasticsearch_schema import Request
from fundlyhub.errors import Permanent, ProcessingError, ServiceRefuses, Snooze, Transient
from tests.channels.door import Door, open_door
from tests.processors.hostile import HOSTILE
from tests.support.elasticsearch import Peer

ONE = UUID(int=1)


def engine_at(url: str, **options: Any) -> SearchEngine:
    breaker = Breaker("elasticsearch")
    return SearchEngine(url, breaker, prefix=f"t{uuid4().hex}", **options)


@pytest.fixture
def engine(peer: Peer) -> SearchEngine:
    """An engine with an empty index that is live."""
    engine = engine_at(peer.url)
    engine.create("campaign")
    engine.go_live("campaign")
    return engine


def body(title: str, **fields: Any) -> dict[str, Any]:
    return {
        "title": title, "lead": "", "body": "", "place": "", "categories": [], "status": "active",
        "created_at": "2026-01-01T00:00:00+00:00", "popularity": 0, **fields,
    }  # fmt: skip


def found(engine: SearchEngine, words: str, **options: Any) -> EngineHits:
    engine.refresh("campaign")
    asked = {"categories": (), "statuses": (), "offset": 0, "size": 10, "marks": ("\ue000", "\ue001")}
    return engine.search("campaign", Request(words, **{**asked, **options}))


class TestVersions:
    def test_an_older_version_changes_nothing_and_counts_as_settled(self, engine: SearchEngine) -> None:
        for version, title in ((2, "new"), (1, "old"), (2, "again")):
            written = engine.write("campaign", [Versioned(ONE, version, body(title))])
            assert list(written.settled) == [ONE]
        assert found(engine, "new").total == 1
        assert found(engine, "old").total == found(engine, "again").total == 0

    def test_what_is_gone_stays_gone_whatever_comes_late(self, engine: SearchEngine) -> None:
        engine.write("campaign", [Versioned(ONE, 1, body("wells"))])
        engine.write("campaign", [Versioned(ONE, 3, None)])
        engine.write("campaign", [Versioned(ONE, 2, body("wells"))])
        assert found(engine, "wells").total == found(engine, "").total == 0
        engine.write("campaign", [Versioned(ONE, 4, body("wells"))])
        assert found(engine, "wells").total == 1

    def test_a_document_that_is_refused_does_not_stop_the_others(self, engine: SearchEngine) -> None:
        bad = uuid4()
        written = engine.write(
            "campaign", [Versioned(bad, 1, body("secret", created_at="never")), Versioned(ONE, 1, body("wells"))]
        )
        assert (list(written.settled), written.refused) == ([ONE], {bad: "status 400"})


class TestIndices:
    def test_an_index_is_made_once_by_however_many(self, peer: Peer) -> None:
        engine = engine_at(peer.url)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: engine.create("user"), range(8)))
        assert engine.exists("user")

    def test_the_alias_leaves_the_older_index_which_goes(self, peer: Peer) -> None:
        engine = engine_at(peer.url)
        alias = engine.alias("campaign")
        older = f"{alias}-v0"
        with peer.client() as client:
            client.indices.create(index=older)
            client.indices.put_alias(index=older, name=alias)
            engine.create("campaign")
            engine.write("campaign", [Versioned(ONE, 1, body("wells"))])
            assert list(client.indices.get_alias(name=alias)) == [older]
            engine.go_live("campaign")
            assert list(client.indices.get_alias(name=alias)) == [engine.index("campaign")]
            assert found(engine, "wells").total == 1
            assert not client.indices.exists(index=older)
        engine.go_live("campaign")


class TestSearching:
    def test_by_words_forms_beginnings_accents_and_with_typos(self, engine: SearchEngine) -> None:
        engine.write(
            "campaign", [Versioned(ONE, 1, body("Clean Wells for Tamalé", body="We are digging.", place="Ghana"))]
        )
        for words in ("wells", "tamale", "wel", "digging", "dig", "cleen", "ghana", ""):
            assert [hit.id for hit in found(engine, words).hits] == [ONE], words
        assert found(engine, "zebra").total == 0

    def test_facets_count_what_would_be_found_without_their_filter(self, engine: SearchEngine) -> None:
        engine.write(
            "campaign",
            [Versioned(uuid4(), 1, body("wells", categories=["a"])),
             Versioned(uuid4(), 1, body("wells", categories=["b"], status="ended"))],
        )  # fmt: skip
        both = found(engine, "wells", categories=["a"])
        assert (both.total, both.categories, both.statuses) == (1, {"a": 1, "b": 1}, {"active": 1})

    def test_the_more_popular_and_the_newer_come_first(self, engine: SearchEngine) -> None:
        popular, newer = uuid4(), uuid4()
        engine.write("campaign", [Versioned(ONE, 1, body("x")), Versioned(popular, 1, body("x", popularity=9))])
        assert [hit.id for hit in found(engine, "x").hits] == [popular, ONE]
        engine.write("campaign", [Versioned(newer, 1, body("y", created_at="2026-11-01T00:00:00+00:00"))])
        engine.write("campaign", [Versioned(uuid4(), 1, body("y", created_at="2020-01-01T00:00:00+00:00"))])
        assert found(engine, "y").hits[0].id == newer

    def test_no_input_is_an_error(self, engine: SearchEngine) -> None:
        from fundlyhub.processors.projections.search_index.query import Search, words_of

        for text in HOSTILE:
            Search("campaign", text)
            found(engine, " ".join(words_of(text)))


class TestWhatGoesWrong:
    @pytest.fixture
    def door(self) -> Iterator[Door]:
        """A server that says what it is told."""
        with open_door() as door:
            yield door

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_what_may_pass_is_transient(self, door: Door, status: int) -> None:
        door.status = status
        with pytest.raises(Transient, match=f"answered {status}"):
            engine_at(door.url).exists("campaign")
        assert door.asked == 1, "the client's own retries are off"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(400, Permanent), (404, Permanent), (413, TooLarge), (401, ServiceRefuses), (403, ServiceRefuses)],
    )
    def test_what_will_not_pass_tells_the_request_from_us_and_quotes_nothing(
        self, door: Door, status: int, kind: type[ProcessingError]
    ) -> None:
        door.status, door.body = status, b'{"error": {"reason": "someone@example.org is no date"}}'
        with pytest.raises(kind, match=f"^Elasticsearch answered {status}$"):
            engine_at(door.url).refresh("campaign")

    def test_one_document_that_must_wait_does_not_make_the_others_wait(self, door: Door) -> None:
        two = UUID(int=2)
        items = [{"index": {"_id": str(one), "status": status}} for one, status in ((ONE, 201), (two, 429))]
        door.body = json.dumps({"errors": True, "items": items}).encode()
        written = engine_at(door.url).write("campaign", [Versioned(one, 1, body("x")) for one in (ONE, two)])
        assert (list(written.settled), written.refused) == ([ONE], {})
        assert "did not take all documents: 429" in str(written.error)

    def test_nobody_there_and_no_answer_are_transient(self, door: Door) -> None:
        with pytest.raises(Transient, match="cannot be reached: ConnectionError"):
            engine_at("http://127.0.0.1:1").exists("campaign")
        door.hangs = True
        with pytest.raises(Transient, match="cannot be reached: ConnectionTimeout"):
            engine_at(door.url, timeout=0.2).exists("campaign")

    def test_failures_open_the_breaker(self, door: Door) -> None:
        engine, door.status = engine_at(door.url), 503
        for _ in range(DEFAULTS.failures - 1):
            with pytest.raises(Transient):
                engine.exists("campaign")
        for _ in range(2):
            with pytest.raises(Snooze):
                engine.exists("campaign")
        assert door.asked == DEFAULTS.failures
