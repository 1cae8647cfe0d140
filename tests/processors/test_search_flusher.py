"""The outside search engine ends equal to the documents, wherever its flusher is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub import Payload, UserRegistered, publish_events
from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch import SearchEngine
from fundlyhub.database import get_engine
from fundlyhub.errors import Transient
from fundlyhub.events.catalogue.admin import AdminUserDeleted
from fundlyhub.events.catalogue.campaign import CampaignDeleted, CampaignUpdated
from fundlyhub.processors.projections.search_index import SearchIndexProcessor, outside
from fundlyhub.processors.projections.search_index.flusher import Flusher, is_behind
from fundlyhub.processors.projections.search_index.query import Filters, Search
from fundlyhub.processors.projections.search_index.reading import search
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from tests.processors.world import World
from tests.support import ROOT
from tests.support.elasticsearch import Peer
from tests.support.make import campaign, completed
from tests.support.platform import Platform, wait_until
from tests.support.searched import titles

USER = UUID(int=1)
CAMPAIGNS = [UUID(int=100 + n) for n in range(35)]


@pytest.fixture
def world(analytics: Engine) -> World:
    """Thirty-five campaigns, of which some are gone again, and a user."""
    world = World(analytics, [SearchIndexProcessor])
    world.tell(
        *(campaign(one, title=f"Wells {n}") for n, one in enumerate(CAMPAIGNS)),
        UserRegistered(user_id=USER, email="ann@example.org", name="Ann", registration_method="email"),
        *(CampaignDeleted(campaign_id=one, user_id=USER) for one in CAMPAIGNS[:5]),
    )
    return world


@pytest.fixture
def engine(peer: Peer) -> SearchEngine:
    """An engine with indices of its own."""
    breaker = Breaker("elasticsearch")
    return SearchEngine(peer.url, breaker, prefix=f"t{uuid4().hex}")


def inside_documents(world: World) -> dict[UUID, str]:
    """The titles inside, by id."""
    found: dict[UUID, str] = {}
    with world.engine.begin() as db:
        for shape in SHAPES.values():
            rows = db.exec_driver_sql(f"SELECT {shape.key}, {shape.weights['A']} FROM {shape.table}")
            found |= {row[0]: row[1] for row in rows}
    return found


def ends_equal(world: World, peer: Peer, engine: SearchEngine) -> None:
    """A flush brings the engine up to date, and leaves nothing to do."""
    Flusher(engine).flush()
    assert not is_behind()
    assert titles(peer, engine) == inside_documents(world)
    assert len(inside_documents(world)) > 20


def change(world: World) -> None:
    """Some documents change, some go, some come."""
    new: list[Payload] = [campaign(uuid4(), title="New wells")]
    edits = [CampaignUpdated.model_validate({"campaignId": one, "userId": USER, "changes": {"title": f"Deep {n}"}})
             for n, one in enumerate(CAMPAIGNS[10:20])]  # fmt: skip
    world.tell(*new, *edits, AdminUserDeleted(user_id=USER, deleted_by=USER), completed(CAMPAIGNS[20]))


def test_it_ends_equal_and_stays_so_through_changes(world: World, peer: Peer, engine: SearchEngine) -> None:
    ends_equal(world, peer, engine)
    change(world)
    assert is_behind()
    ends_equal(world, peer, engine)


def die(engine: SearchEngine, peer: Peer, method: str, when: str, count: int) -> None:
    """Run a flusher that kills itself there; it must get that far."""
    prefix = engine.alias("")[:-1]
    argv = [sys.executable, "-m", "tests.processors.flush_and_die", method, when, str(count), prefix]
    environment = {**os.environ, "FUNDLYHUB_ELASTICSEARCH_URL": peer.url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=environment, cwd=ROOT, timeout=60, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    wait_until(lambda: not flushing(), what="the server to notice that it is gone")


def flushing() -> bool:
    """Whether a flusher holds its lock."""
    with get_engine("analytics").connect() as db:
        return bool(db.exec_driver_sql("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')").scalar_one())


BOUNDARIES = [
    (method, when, count)
    for method, count in (("exists", 1), ("create", 1), ("create", 2), ("write", 1), ("write", 3), ("go_live", 1))
    for when in ("before", "after")
]


@pytest.mark.chaos
@pytest.mark.parametrize(("method", "when", "count"), BOUNDARIES)
def test_a_kill_anywhere_ends_equal(
    world: World, peer: Peer, engine: SearchEngine, method: str, when: str, count: int
) -> None:
    die(engine, peer, method, when, count)
    change(world)
    ends_equal(world, peer, engine)


def test_a_kill_between_sending_and_noting_lets_no_older_version_win(
    world: World, peer: Peer, engine: SearchEngine
) -> None:
    Flusher(engine).flush()
    change(world)
    die(engine, peer, "write", "after", 1)
    change(world)
    ends_equal(world, peer, engine)


@pytest.mark.parametrize("dies", [False, True])
def test_an_index_that_got_lost_is_filled_again(world: World, peer: Peer, engine: SearchEngine, dies: bool) -> None:
    Flusher(engine).flush()
    with peer.client() as client:
        client.indices.delete(index=engine.index("campaign"))
    if dies:
        die(engine, peer, "create", "after", 1)
    change(world)
    ends_equal(world, peer, engine)


def test_several_flushers_at_once_miss_nothing(world: World, peer: Peer, engine: SearchEngine) -> None:
    def busy(_: int) -> None:
        Flusher(engine).flush()

    with ThreadPoolExecutor(4) as pool:
        flushes = pool.map(busy, range(12))
        for _ in range(5):
            change(world)
        list(flushes)
    ends_equal(world, peer, engine)


def test_what_the_engine_refuses_is_kept_with_its_reason_and_holds_nothing_up(
    world: World, peer: Peer, engine: SearchEngine
) -> None:
    with world.engine.begin() as db:
        db.exec_driver_sql("UPDATE campaign_search_projection SET created_at = '20000-01-01' WHERE title = 'Wells 7'")
    Flusher(engine).flush()
    assert not is_behind()
    with world.engine.begin() as db:
        refused = db.exec_driver_sql("SELECT id, refused FROM search_documents WHERE refused IS NOT NULL").all()
    assert [tuple(row) for row in refused] == [(CAMPAIGNS[7], "status 400")]


@pytest.mark.chaos  # for its length
def test_a_worker_sends_what_it_has_written_and_the_sweep_wakes_it_for_what_is_left(
    platform: Platform, peer: Peer
) -> None:
    dirty = "SELECT count(*) FROM analytics.search_documents WHERE version > sent_version"
    sent = "SELECT count(*) FROM analytics.search_documents WHERE version = sent_version AND version > 0"
    platform.environment |= {
        "FUNDLYHUB_SEARCH_BACKEND": "elasticsearch",
        "FUNDLYHUB_ELASTICSEARCH_URL": peer.url,
        "FUNDLYHUB_PROCESSORS": "",
    }
    platform.relay()
    platform.worker()
    publish_events(campaign(title="Wells") for _ in range(10))
    wait_until(lambda: platform.value(sent) == 10, what="the documents outside")
    platform.execute("UPDATE analytics.search_documents SET sent_version = 0")
    wait_until(lambda: platform.value(dirty) == 0, what="the sweep's wake-up")
    assert platform.value("SELECT count(*) FROM analytics.search_indices WHERE live") == 3


class TestReading:
    def test_it_finds_what_postgresql_finds(self, world: World, peer: Peer, engine: SearchEngine) -> None:
        Flusher(engine).flush()
        engine.refresh("campaign")
        with world.engine.begin() as db:
            asked = Search("campaign", "wells", Filters(), size=100)
            found = outside.search(engine, db, asked)
            inside = search("campaign", "wells", size=100, db=db)
        assert {hit.id for hit in found.hits} == {hit.id for hit in inside.hits} == set(CAMPAIGNS[5:])
        assert (found.total, found.statuses) == (inside.total, inside.statuses)
        assert all(hit.title_html in (hit.title, f"<mark>Wells</mark>{hit.title[5:]}") for hit in found.hits)

    def test_what_is_gone_is_not_shown_even_if_the_engine_is_late(
        self, world: World, peer: Peer, engine: SearchEngine
    ) -> None:
        Flusher(engine).flush()
        engine.refresh("campaign")
        world.tell(CampaignDeleted(campaign_id=CAMPAIGNS[9], user_id=USER))
        with world.engine.begin() as db:
            found = outside.search(engine, db, Search("campaign", "wells", size=100))
        assert CAMPAIGNS[9] not in {hit.id for hit in found.hits}

    def test_without_the_engine_postgresql_answers(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        use_elasticsearch(monkeypatch, "http://127.0.0.1:1")
        with world.engine.begin() as db:
            assert search("campaign", "wells", db=db).total == 30
        assert "searching in PostgreSQL instead: Elasticsearch cannot be reached: ConnectionError" in caplog.text


def use_elasticsearch(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Set the environment as an operator would, and forget what was read from it before."""
    from fundlyhub.settings import get_settings

    monkeypatch.setenv("FUNDLYHUB_SEARCH_BACKEND", "elasticsearch")
    monkeypatch.setenv("FUNDLYHUB_ELASTICSEARCH_URL", url)
    get_settings.cache_clear()
    outside.outside_engine.cache_clear()


@pytest.fixture(autouse=True)
def _forget_the_engine() -> Any:
    outside.outside_engine.cache_clear()
    yield
    outside.outside_engine.cache_clear()


def test_a_flush_whose_engine_is_away_raises_and_leaves_all_dirty(world: World) -> None:
    breaker = Breaker("elasticsearch")
    with pytest.raises(Transient):
        Flusher(SearchEngine("http://127.0.0.1:1", breaker)).flush()
    assert is_behind()
