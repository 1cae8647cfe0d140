"""A platform whose searches go to an external search engine, which has all documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from fundlyhub.channels.elasticsearch import SearchEngine
from fundlyhub.processors.projections.search_index.flusher import Flusher
from fundlyhub.processors.projections.search_index.outside import outside_engine
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.settings import get_settings
from tests.support.elasticsearch import Peer


@contextmanager
def searched_by(peer: Peer) -> Iterator[SearchEngine]:
    """Let this process's platform use the engine; afterwards its indices are gone."""
    with pytest.MonkeyPatch.context() as set_:
        set_.setenv("FUNDLYHUB_SEARCH_BACKEND", "elasticsearch")
        set_.setenv("FUNDLYHUB_ELASTICSEARCH_URL", peer.url)
        get_settings.cache_clear()
        outside_engine.cache_clear()
        engine = outside_engine()
        assert engine is not None
        Flusher(engine).flush()
        yield engine
    with peer.client() as client:
        for kind in SHAPES:
            for name in client.indices.get(index=f"{engine.alias(kind)}-v*", expand_wildcards="all"):
                client.indices.delete(index=name)
    get_settings.cache_clear()
    outside_engine.cache_clear()


def titles(peer: Peer, engine: SearchEngine) -> dict[UUID, str]:
    """The titles that everybody may find outside, by id."""
    found: dict[UUID, str] = {}
    with peer.client() as client:
        for kind in SHAPES:
            engine.refresh(kind)
            answer = client.search(index=engine.alias(kind), query={"term": {"findable": True}}, size=1_000)
            found |= {UUID(hit["_id"]): hit["_source"]["title"] for hit in answer["hits"]["hits"]}
    return found
