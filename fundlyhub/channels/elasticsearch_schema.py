"""Analyzers, mapping and queries of the Elasticsearch indices: constants and pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 1
"""Increase it with every change below: a new index is then filled beside the old one and replaces it."""

_WORDS = {"type": "text", "analyzer": "folded"}

INDEX: Mapping[str, Any] = {
    "settings": {
        "analysis": {
            "filter": {"beginnings": {"type": "edge_ngram", "min_gram": 2, "max_gram": 20}},
            "analyzer": {
                "folded": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
                "beginning": {
                    "type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding", "beginnings"],
                },
                "stemmed": {
                    "type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding", "porter_stem"],
                },
            },
        }
    },
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "title": {
                **_WORDS,
                "fields": {
                    "beginning": {"type": "text", "analyzer": "beginning", "search_analyzer": "folded"},
                    "stemmed": {"type": "text", "analyzer": "stemmed"},
                },
            },
            "lead": {"type": "text", "analyzer": "stemmed"},
            "body": {"type": "text", "analyzer": "stemmed"},
            "place": _WORDS,
            "categories": {"type": "keyword"},
            "status": {"type": "keyword"},
            "created_at": {"type": "date"},
            "popularity": {"type": "integer"},
            "findable": {"type": "boolean"},
        },
    },
}  # fmt: skip

TEXTS = ["title", "lead", "body", "place"]
"""The fields that hold words."""
_FIELDS = ["title^8", "title.stemmed^6", "title.beginning^4", "lead^3", "body^1.5", "place"]


@dataclass(frozen=True, slots=True)
class Request:
    """A search; ``marks`` are set around matches."""

    words: str
    categories: Sequence[str]
    statuses: Sequence[str]
    offset: int
    size: int
    marks: tuple[str, str]


def query(asked: Request, counted: int) -> dict[str, Any]:
    """The body of a search. A facet counts the matches without its own filter."""
    filters = {
        "categories": [{"terms": {"categories": list(asked.categories)}}] if asked.categories else [],
        "statuses": [{"terms": {"status": list(asked.statuses)}}] if asked.statuses else [],
    }
    return {
        "query": {
            "function_score": {
                "query": {"bool": {"must": [_matching(asked.words)], "filter": [{"term": {"findable": True}}]}},
                "functions": [
                    {"field_value_factor": {"field": "popularity", "modifier": "ln2p", "missing": 0}},
                    {"gauss": {"created_at": {"origin": "now", "scale": "90d", "decay": 0.5}}, "weight": 0.5},
                ],
                "score_mode": "sum",
                "boost_mode": "multiply",
            }
        },
        "post_filter": {"bool": {"filter": filters["categories"] + filters["statuses"]}},
        "aggs": {
            "categories": _facet("categories", filters["statuses"]),
            "statuses": _facet("status", filters["categories"]),
        },
        "highlight": {
            "pre_tags": [asked.marks[0]],
            "post_tags": [asked.marks[1]],
            "number_of_fragments": 1,
            "fragment_size": 200,
            "fields": {"title": {"number_of_fragments": 0}, "lead": {}, "body": {}},
        },
        "from_": asked.offset,
        "size": asked.size,
        "track_total_hits": counted,
        "source": False,
    }


def _matching(words: str) -> dict[str, Any]:
    if not words:
        return {"match_all": {}}
    whole = {"multi_match": {"query": words, "type": "cross_fields", "operator": "and", "fields": ["title", "place"]}}
    anywhere = {"multi_match": {"query": words, "type": "most_fields", "operator": "and", "fields": _FIELDS}}
    nearly = {"match": {"title": {"query": words, "operator": "and", "fuzziness": "AUTO", "prefix_length": 1}}}
    return {"bool": {"should": [anywhere, whole, nearly], "minimum_should_match": 1}}


def _facet(field: str, filters: Sequence[Any]) -> dict[str, Any]:
    found = {"terms": {"field": field, "size": 50}}
    return {"filter": {"bool": {"filter": list(filters)}}, "aggs": {"found": found}}
