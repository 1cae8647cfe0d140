"""What goes wrong in a rebuild: events that fail, events and claims that are gone, erasures, tables of other shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import psycopg
import pytest
from sqlalchemy import Connection

from fundlyhub import DerivedTable, Event, publish_event, rebuilds
from fundlyhub.errors import EventsArchived, Permanent, WrongState
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processors.projections.campaign_stats.processor import CampaignStatsProcessor
from fundlyhub.rebuilds.filling import go_on
from fundlyhub.settings import Settings
from tests.people.erased import erased
from tests.rebuilds.test_exchange import REBUILDABLE, SCHEMAS, STATS, filled
from tests.support.make import completed
from tests.verification.test_other_packages import FavouritesProcessor, favourites
from tests.verification.world import ANN, BEN, OURS, WELLS, found, sql

__all__ = ["favourites"]


class PickyProcessor(CampaignStatsProcessor, register=False):
    """The statistics, with a fault: nothing of one donor is taken."""

    name = STATS

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        if any(getattr(event.payload, "donor_id", None) == BEN for event in events):
            raise Permanent("it does not like this donor")
        super().handle_batch(events, db)


class CountingProcessor(FavouritesProcessor, register=False):
    """A processor of another package, which gives its rows numbers by itself."""

    name = FavouritesProcessor.name
    tables: ClassVar[Sequence[DerivedTable | str]] = (
        "favourites",
        DerivedTable(
            "first followers", key=("campaign_id",), ignored={"id": "the order of events decides"}, rewritten=("id",)
        ),
    )


PICKY: Mapping[str, type[Processor]] = {STATS: PickyProcessor}


@pytest.mark.chaos  # for its length
def test_an_event_that_fails_is_a_finding_and_freezes_nothing(at_rest: Settings) -> None:
    rebuilds.start(at_rest, PICKY, STATS, who="ann")
    go_on(at_rest, PickyProcessor, seconds=60)
    status = rebuilds.status(at_rest, PICKY, STATS)
    assert (status.phase, status.behind) == ("following", 0)
    assert status.findings > 0
    assert "Permanent" in status.listed[0].what or "donor" in status.listed[0].what
    with pytest.raises(WrongState, match="could not be applied"):
        rebuilds.swap(at_rest, PICKY, STATS, who="ann")
    assert found(STATS) == [], "nothing has changed"
    rebuilds.swap(at_rest, PICKY, STATS, who="ann", despite_findings=True)
    assert found(STATS) != []
    rebuilds.undo(at_rest, OURS, STATS, who="ann", despite_findings=True)
    assert found(STATS) == []


def test_tables_of_another_package_are_exchanged_and_go_on_counting(favourites: Settings) -> None:
    processors: Mapping[str, type[Processor]] = {CountingProcessor.name: CountingProcessor}
    name = CountingProcessor.name
    sql('UPDATE analytics.favourites SET "order" = 7')
    filled(favourites, name, processors)
    assert {one.table: one.changed for one in rebuilds.diff(favourites, processors, name)}["favourites"] == 2
    rebuilds.swap(favourites, processors, name, who="ann")
    rebuilds.prune(favourites, processors, name, who="ann")
    sql("""INSERT INTO analytics."first followers" (user_id, campaign_id)
           SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 3)""")
    ids = [number for (number,) in sql('SELECT id FROM analytics."first followers" ORDER BY id')]
    assert len(set(ids)) == 5
    assert sorted(count for (count,) in sql('SELECT "order" FROM analytics.favourites')) == [1, 2]


def test_a_column_that_another_service_writes_keeps_its_table_from_being_exchanged(favourites: Settings) -> None:
    processors: Mapping[str, type[Processor]] = {FavouritesProcessor.name: FavouritesProcessor}
    with pytest.raises(Exception, match="follow from no event: id"):
        rebuilds.start(favourites, processors, FavouritesProcessor.name, who="ann")


def test_claims_that_were_dropped_and_events_that_are_archived_refuse_it(at_rest: Settings) -> None:
    sql("""INSERT INTO events.archives (low, high, events, types, file, sha256, who, system_identifier)
           VALUES (1, 9, 1, '{"donation.completed": 1}', '/cold/old.gz', 'x', 'ann', 1)""")
    with pytest.raises(EventsArchived, match=r"restore /cold/old\.gz"):
        rebuilds.start(at_rest, OURS, STATS, who="ann")
    sql("DELETE FROM events.archives")
    sql("INSERT INTO analytics.dropped_claims VALUES (0, 9, '{}', 'ann')")
    with pytest.raises(WrongState, match="up to position 9 have been dropped"):
        rebuilds.start(at_rest, OURS, STATS, who="ann")
    assert sql(SCHEMAS) == []


def test_what_hangs_on_a_table_and_would_not_move_with_it_refuses_it(at_rest: Settings) -> None:
    sql("CREATE MATERIALIZED VIEW analytics.cold AS SELECT donation_id FROM analytics.donation_facts")
    with pytest.raises(WrongState, match="materialized view cold"):
        rebuilds.start(at_rest, OURS, STATS, who="ann")


@pytest.mark.chaos  # for its length
def test_an_erasure_ends_rebuilds_and_drops_former_tables(at_rest: Settings) -> None:
    for name in REBUILDABLE:
        filled(at_rest, name)
    rebuilds.swap(at_rest, OURS, "activity_feed", who="ann")
    assert erased(ANN).changed["schemas of rebuilds"] == len(REBUILDABLE)
    assert sql(SCHEMAS) == []
    with pytest.raises(WrongState, match="not being rebuilt"):
        rebuilds.swap(at_rest, OURS, STATS, who="ann")
    assert found() == []


def test_a_statement_that_was_prepared_for_another_shape_costs_no_attempt(at_rest: Settings) -> None:
    class Shaped(CampaignStatsProcessor, register=False):
        """Reads all columns of a table, whichever there are."""

        name = STATS

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            db.connection.driver_connection.execute(  # type: ignore[union-attr]
                "SELECT * FROM donation_anomalies", prepare=True
            ).fetchall()

    def apply() -> None:
        position = publish_event(completed(WELLS)).position or 0
        assert execute(Shaped, [position]).outcomes == {"done": 1}

    apply()
    sql("ALTER TABLE analytics.donation_anomalies ADD COLUMN note text")
    apply()
    assert sql("SELECT count(*) FROM events.attempts WHERE processor = %s", STATS) == [(0,)]


def test_columns_that_changed_since_the_start_refuse_the_exchange(at_rest: Settings) -> None:
    filled(at_rest)
    sql("ALTER TABLE analytics.donation_anomalies ADD COLUMN note text")
    with pytest.raises(WrongState, match="donation_anomalies changed"):
        rebuilds.swap(at_rest, OURS, STATS, who="ann")
    rebuilds.cancel(at_rest, OURS, STATS, who="ann")


@pytest.mark.chaos  # for its length
def test_a_lock_that_is_not_to_be_had_changes_nothing(at_rest: Settings) -> None:
    filled(at_rest)
    with psycopg.connect(at_rest.dsn("events")) as reader:
        reader.execute("SELECT * FROM analytics.donation_facts")
        tries: list[int] = []

        def tell(what: str, done: int, total: int, /) -> None:
            if what == "waiting for the locks":
                tries.append(done)
            if len(tries) == 3:
                reader.rollback()

        assert rebuilds.swap(at_rest, OURS, STATS, who="ann", tell=tell).tries == 3
    assert found(STATS) == []
