"""What Elasticsearch, or a proxy before it, does not take: only a document's own fault counts as dealt with."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine

from fundlyhub import UserRegistered
from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch import SearchEngine
from fundlyhub.errors import ProcessingError, Snooze, Transient
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.processors.projections.search_index.flusher import Flusher, is_behind
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from tests.processors.bulk_door import BulkDoor, open_bulk_door
from tests.processors.world import World
from tests.support.make import campaign

CAMPAIGNS = [UUID(int=100 + n) for n in range(35)]
USER = UUID(int=1)
BAD, FIRST = CAMPAIGNS[7], CAMPAIGNS[0]
ALL = {*CAMPAIGNS, USER}


@pytest.fixture
def world(analytics: Engine) -> World:
    """Thirty-five campaigns and a user; all indices are live."""
    world = World(analytics, [SearchIndexProcessor])
    world.tell(
        *(campaign(one, title=f"Wells {n}") for n, one in enumerate(CAMPAIGNS)),
        UserRegistered(user_id=USER, email="ann@example.org", name="Ann", registration_method="email"),
    )
    with world.engine.begin() as db:
        for kind in SHAPES:
            db.exec_driver_sql("INSERT INTO search_indices VALUES (%s, %s, true)", (kind, f"fundlyhub-{kind}-v1"))
    return world


@pytest.fixture
def door() -> Iterator[BulkDoor]:
    """A door that takes everything until it is told otherwise."""
    with open_bulk_door() as door:
        yield door


def flush(door: BulkDoor) -> ProcessingError | None:
    """One flush, with a breaker of its own."""
    try:
        Flusher(SearchEngine(door.url, Breaker("elasticsearch"))).flush()
    except ProcessingError as error:
        return error
    return None


def dirty(world: World) -> set[UUID]:
    with world.engine.begin() as db:
        return set(db.exec_driver_sql("SELECT id FROM search_documents WHERE version > sent_version").scalars())


def refused(world: World) -> dict[UUID, str]:
    with world.engine.begin() as db:
        rows = db.exec_driver_sql("SELECT id, refused FROM search_documents WHERE refused IS NOT NULL")
        return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504, 599])
def test_a_document_that_is_not_taken_stays_dirty_and_its_neighbours_go_on(
    world: World, door: BulkDoor, status: int
) -> None:
    door.statuses = {BAD: status, FIRST: status}
    assert isinstance(flush(door), (Transient, Snooze))
    assert dirty(world) == {BAD, FIRST}
    assert set(door.taken) == ALL - {BAD, FIRST}
    assert refused(world) == {}
    door.statuses = {}
    assert flush(door) is None
    assert (dirty(world), set(door.taken)) == (set(), ALL)


def test_a_400_is_the_documents_own_fault(world: World, door: BulkDoor) -> None:
    door.statuses = {BAD: 400}
    assert flush(door) is None
    assert (dirty(world), refused(world)) == (set(), {BAD: "status 400"})
    assert not is_behind()


def test_a_409_is_done_since_a_newer_version_is_there(world: World, door: BulkDoor) -> None:
    door.statuses = {BAD: 409}
    assert flush(door) is None
    assert (dirty(world), refused(world)) == (set(), {})


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 407, 429, 500, 502, 503])
def test_a_whole_request_that_is_not_taken_costs_nothing(world: World, door: BulkDoor, status: int) -> None:
    door.status = status
    assert isinstance(flush(door), (Transient, Snooze))
    assert (dirty(world), refused(world)) == (ALL, {})
    door.status = 200
    assert flush(door) is None
    assert (dirty(world), set(door.taken)) == (set(), ALL)


@pytest.mark.parametrize("body", [b"", b"{", b'{"items": 7}', b'{"items": [7, {"index": {}}]}', b"<html>fine</html>"])
@pytest.mark.parametrize("product", [True, False])
def test_an_answer_that_cannot_be_read_costs_nothing(world: World, door: BulkDoor, body: bytes, product: bool) -> None:
    door.body, door.product = body, product
    assert isinstance(flush(door), (Transient, Snooze))
    assert (dirty(world), refused(world)) == (ALL, {})


def test_an_answer_with_fewer_items_than_were_sent_leaves_the_others_dirty(world: World, door: BulkDoor) -> None:
    door.left_out = {BAD}
    assert isinstance(flush(door), (Transient, Snooze))
    assert dirty(world) == {BAD}


class TestAProxysLimit:
    def test_of_bytes_halves_the_page_until_it_fits(self, world: World, door: BulkDoor) -> None:
        door.most_bytes = 2_000
        assert flush(door) is None
        assert (dirty(world), set(door.taken), refused(world)) == (set(), ALL, {})
        assert max(door.sizes) > 1, "not one by one"
        assert door.bulks < 40

    def test_that_one_document_alone_exceeds_is_that_documents_own_fault(self, world: World, door: BulkDoor) -> None:
        with world.engine.begin() as db:
            db.exec_driver_sql(
                "UPDATE campaign_search_projection SET story_text = repeat('x', 5000) WHERE campaign_id = %s", (BAD,)
            )
        door.most_bytes = 3_000
        assert flush(door) is None
        assert (dirty(world), set(door.taken)) == (set(), ALL - {BAD})
        assert refused(world) == {BAD: "status 413"}


def test_a_service_that_refuses_every_document_opens_its_breaker(world: World, door: BulkDoor) -> None:
    breaker = Breaker("elasticsearch")
    door.statuses = dict.fromkeys(ALL, 403)
    for _ in range(6):
        with pytest.raises((Transient, Snooze)):
            Flusher(SearchEngine(door.url, breaker)).flush()
    assert breaker.state == "open"
    assert dirty(world) == ALL
