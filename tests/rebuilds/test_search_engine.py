"""The external search engine beside a rebuild: filled anew in an index beside the one that answers, and equal again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from fundlyhub import publish_events, rebuilds
from fundlyhub.channels.elasticsearch import SearchEngine
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.campaign import CampaignUpdated
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.processors.projections.search_index.flusher import Flusher, begin_anew, is_behind
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.settings import Settings
from tests.rebuilds.test_exchange import filled
from tests.support.elasticsearch import Peer
from tests.support.platform import wait_until
from tests.support.searched import searched_by, titles
from tests.verification.world import BEN, OURS, WELLS, sql

SEARCH = "search_index"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'INTO search_indices'"
WRONG = (
    "UPDATE analytics.campaign_search_projection SET title = 'Wrong' WHERE campaign_id = %s",
    "UPDATE analytics.search_documents SET version = version + 1000, popularity = 7 WHERE id = %s",
)


@pytest.fixture
def engine(at_rest: Settings, peer: Peer) -> Iterator[SearchEngine]:
    """The external search engine of this platform, which has all documents."""
    with searched_by(peer) as engine:
        yield engine


def indices(peer: Peer, engine: SearchEngine) -> set[str]:
    """The indices of campaigns that are there."""
    with peer.client() as client:
        return set(client.indices.get(index=f"{engine.alias('campaign')}-v*", expand_wildcards="all"))


def damaged(peer: Peer, engine: SearchEngine) -> dict[UUID, str]:
    """What was right, before somebody wrote something wrong, which is outside by now, with a higher version."""
    right = titles(peer, engine)
    for statement in WRONG:
        sql(statement, WELLS)
    Flusher(engine).flush()
    assert titles(peer, engine) == {**right, WELLS: "Wrong"}
    return right


def test_a_swap_and_its_undo_fill_the_engine_anew_while_the_index_before_answers(
    at_rest: Settings, peer: Peer, engine: SearchEngine
) -> None:
    right = damaged(peer, engine)
    filled(at_rest, SEARCH)
    rebuilds.swap(at_rest, OURS, SEARCH, who="ann")
    assert is_behind()
    assert titles(peer, engine)[WELLS] == "Wrong", "the index before answers until the new one is full"
    SearchIndexProcessor().afterwards()
    assert titles(peer, engine) == right
    assert indices(peer, engine) == {"fundlyhub-campaign-v1-r2"}
    assert not is_behind()
    rebuilds.undo(at_rest, OURS, SEARCH, who="ann")
    SearchIndexProcessor().afterwards()
    assert titles(peer, engine) == {**right, WELLS: "Wrong"}
    assert indices(peer, engine) == {"fundlyhub-campaign-v1-r3"}


def test_what_changes_after_a_swap_reaches_the_new_index(at_rest: Settings, peer: Peer, engine: SearchEngine) -> None:
    right = damaged(peer, engine)
    filled(at_rest, SEARCH)
    rebuilds.swap(at_rest, OURS, SEARCH, who="ann")
    change = CampaignUpdated.model_validate({"campaignId": WELLS, "userId": BEN, "changes": {"title": "Deep"}})
    positions = [one.position or 0 for one in publish_events([change])]
    assert execute(SearchIndexProcessor, positions).outcomes == {"done": 1}
    assert titles(peer, engine) == {**right, WELLS: "Deep"}


def test_one_aggregate_alone_is_right_outside_too(at_rest: Settings, peer: Peer, engine: SearchEngine) -> None:
    right = damaged(peer, engine)
    rebuilds.swap_aggregate(at_rest, OURS, SEARCH, WELLS, who="ann")
    SearchIndexProcessor().afterwards()
    assert titles(peer, engine) == right


def test_a_flush_that_was_under_way_during_an_exchange_does_not_pass_for_the_new_index(
    at_rest: Settings, peer: Peer, engine: SearchEngine
) -> None:
    right = titles(peer, engine)
    sql("UPDATE analytics.search_indices SET live = false")  # as of an index that is just being filled
    with ThreadPoolExecutor() as pool:
        with get_engine("analytics").begin() as db:
            begin_anew(db)
            flush = pool.submit(Flusher(engine).flush)
            wait_until(lambda: sql(WAITING) != [(0,)], what="the flush at its last note")
        flush.result()
    assert titles(peer, engine) == right
    assert {f"{engine.alias(kind)}-v1-r2" for kind in SHAPES} == {
        name for (name,) in sql("SELECT name FROM analytics.search_indices WHERE live")
    }
