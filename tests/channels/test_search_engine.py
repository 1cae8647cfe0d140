"""What the peer cannot show: the search that Elasticsearch is asked, its marks, and answers that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from fundlyhub.channels.elasticsearch import EngineHit, Versioned
from fundlyhub.channels.elasticsearch_schema import SCHEMA_VERSION, Request
from fundlyhub.errors import Transient
from tests.channels.door import Door, open_door
from tests.channels.test_elasticsearch import ONE, body, engine_at
from tests.support.elasticsearch import Peer

ASKED = Request("wells", ["water"], ["active"], 40, 20, ("\ue000", "\ue001"))


@pytest.fixture
def door() -> Iterator[Door]:
    """A server that says what it is told."""
    with open_door() as door:
        yield door


def answer(hits: list[dict[str, Any]], total: int, relation: str) -> bytes:
    facets = {
        "categories": {"doc_count": 9, "found": {"buckets": [{"key": "water", "doc_count": 3}]}},
        "statuses": {"doc_count": 9, "found": {"buckets": [{"key": "active", "doc_count": 2}]}},
    }
    whole = {"hits": {"total": {"value": total, "relation": relation}, "hits": hits}, "aggregations": facets}
    return json.dumps(whole).encode()


def test_what_is_asked(door: Door) -> None:
    door.body = answer([], 0, "eq")
    engine_at(door.url).search("campaign", ASKED)
    asked = json.loads(door.heard)
    score = asked["query"]["function_score"]
    assert score["query"]["bool"]["filter"] == [{"term": {"findable": True}}]
    assert {name for function in score["functions"] for name in function} >= {"field_value_factor", "gauss"}
    assert asked["post_filter"] == {
        "bool": {"filter": [{"terms": {"categories": ["water"]}}, {"terms": {"status": ["active"]}}]}
    }
    assert (asked["from"], asked["size"], asked["track_total_hits"]) == (40, 20, 10_000)
    marks = asked["highlight"]
    assert (marks["pre_tags"], marks["post_tags"], marks["number_of_fragments"]) == (["\ue000"], ["\ue001"], 1)
    assert "query_string" not in json.dumps(asked)


def test_what_is_answered(door: Door) -> None:
    marked = {"title": ["clean \ue000wells\ue001"], "body": ["we dig \ue000wells\ue001"]}
    hits: list[dict[str, Any]] = [
        {"_id": str(ONE), "_score": 2.5, "highlight": marked},
        {"_id": str(UUID(int=2)), "_score": None},
    ]
    door.body = answer(hits, 10_000, "gte")
    found = engine_at(door.url).search("campaign", ASKED)
    assert found.hits == [
        EngineHit(ONE, 2.5, {"title": "clean \ue000wells\ue001", "body": "we dig \ue000wells\ue001"}),
        EngineHit(UUID(int=2), 0.0, {}),
    ]
    assert (found.total, found.exact) == (10_000, False)
    assert (found.categories, found.statuses) == ({"water": 3}, {"active": 2})


@pytest.mark.parametrize("text", ["{}", "[]", "<html>", '{"items": []}', '{"items": [{"index": {}}]}', '{"hits": 1}'])
def test_an_answer_that_is_none_is_transient(door: Door, text: str) -> None:
    door.body = text.encode()
    with pytest.raises(Transient):
        engine_at(door.url).write("campaign", [Versioned(ONE, 1, body("x"))])
    with pytest.raises(Transient):
        engine_at(door.url).search("campaign", ASKED)


def test_an_older_deploy_that_goes_live_leaves_the_newer_ones_index(peer: Peer) -> None:
    engine = engine_at(peer.url)
    alias = engine.alias("campaign")
    newer = f"{alias}-v{SCHEMA_VERSION + 1}"
    with peer.client() as client:
        client.indices.create(index=newer)
        client.indices.put_alias(index=newer, name=alias)
        engine.create("campaign")
        engine.go_live("campaign")
        assert list(client.indices.get_alias(name=alias)) == [engine.index("campaign")]
        assert client.indices.exists(index=newer)
