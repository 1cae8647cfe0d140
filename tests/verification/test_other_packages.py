"""Tables of processors in other packages: what the class names is replayed and compared, however it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, Table, Text, Uuid

from fundlyhub import DerivedTable, Event, ProjectionProcessor, UserFollowedCampaign, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.database.metadata import analytics_metadata
from fundlyhub.processing.executor import execute
from fundlyhub.relay.registration import register
from fundlyhub.settings import Settings
from fundlyhub.verification import Report, verify
from tests.verification.world import ANN, BEN, ROOFS, WELLS, sql


class FavouritesProcessor(ProjectionProcessor, register=False):
    """How many have followed each campaign, and who did."""

    handles = (UserFollowedCampaign,)
    tables: ClassVar[Sequence[DerivedTable | str]] = (
        "favourites",
        DerivedTable("first followers", key=("campaign_id",), ignored={"id": "the order of events decides"}),
    )

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        for event in events:
            assert isinstance(event.payload, UserFollowedCampaign)
            given = {"campaign": event.payload.campaign_id, "user": event.payload.user_id}
            db.exec_driver_sql('INSERT INTO favourites VALUES (%(campaign)s, 1) ON CONFLICT ("Campaign")'
                               ' DO UPDATE SET "order" = favourites."order" + 1', given)  # fmt: skip
            db.exec_driver_sql('INSERT INTO "first followers" (campaign_id, user_id) VALUES (%(campaign)s, %(user)s)'
                               " ON CONFLICT ON CONSTRAINT one_each DO NOTHING", given)  # fmt: skip


def made_by_its_own_metadata() -> None:
    metadata = MetaData(naming_convention=analytics_metadata.naming_convention)
    Table("favourites", metadata, Column("Campaign", Uuid, primary_key=True), Column("order", BigInteger))
    first = Table(
        "first followers", metadata, Column("id", Integer, primary_key=True), Column("user_id", Uuid, nullable=False),
        Column("campaign_id", Uuid, nullable=False), Column("note", Text, server_default="100 % it's there"),
    )  # fmt: skip
    Index("by user", first.c.user_id)
    metadata.create_all(get_engine("analytics"))


def made_by_its_own_migration() -> None:
    sql("""
        CREATE TABLE analytics.favourites ("Campaign" uuid PRIMARY KEY, "order" bigint);
        CREATE TABLE analytics."first followers" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            user_id uuid NOT NULL, campaign_id uuid NOT NULL, note text DEFAULT '100 % it''s there');
    """)


@pytest.fixture(params=[made_by_its_own_metadata, made_by_its_own_migration])
def favourites(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Tables of another package, and some events that its processor has applied."""
    request.param()
    sql('ALTER TABLE analytics."first followers" ADD CONSTRAINT one_each UNIQUE (campaign_id)')
    with connect("events", autocommit=True) as db:
        register(db, {FavouritesProcessor.name: FavouritesProcessor})
    follows = [(ANN, WELLS), (BEN, WELLS), (ANN, ROOFS)]
    events = publish_events(
        UserFollowedCampaign(user_id=user, campaign_id=campaign, follow_type="user") for user, campaign in follows
    )
    assert execute(FavouritesProcessor, [event.position or 0 for event in events]).outcomes == {"done": 3}
    return settings


def verified(settings: Settings, processor: type[ProjectionProcessor] = FavouritesProcessor) -> Report:
    return verify(settings, {processor.name: processor}, grace=0.0)


def test_where_all_is_right_nothing_is_found(favourites: Settings) -> None:
    report = verified(favourites)
    assert report.document()["findings"] == []
    assert (report.checked["tables"], report.checked["claims replayed"]) == (2, 3)
    assert not report.left_out


def test_a_row_that_was_changed_by_hand_is_found(favourites: Settings) -> None:
    sql('UPDATE analytics.favourites SET "order" = 7 WHERE "Campaign" = %s', WELLS)
    sql('UPDATE analytics."first followers" SET user_id = %s WHERE campaign_id = %s', BEN, ROOFS)
    table, other = verified(favourites).findings.listed
    assert (table.table, table.key, table.columns) == ("favourites", {"Campaign": WELLS}, ("order",))
    assert (table.expected, table.found) == ({"order": 2}, {"order": 7})
    assert (other.table, other.key, other.columns) == ("first followers", {"campaign_id": ROOFS}, ("user_id",))


def test_a_table_that_is_not_there_or_has_no_key_is_named(favourites: Settings) -> None:
    class Wrong(FavouritesProcessor, register=False):
        name = FavouritesProcessor.name
        tables = ("favourits", "keyless", DerivedTable("favourites", key=("campaign",)))

    sql("CREATE TABLE analytics.keyless (n int)")
    findings = verified(favourites, Wrong).findings
    assert findings.counts == {"missing": 3}
    assert [one.table for one in findings.listed] == ["favourits", "keyless", "favourites"]
    assert "cannot be read, or has no key" in findings.listed[0].what
