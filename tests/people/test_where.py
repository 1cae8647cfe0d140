"""`fundlyhub people where`: every field and every column is classified, and a new one that is not fails here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import psycopg
import pytest
from sqlalchemy import Column, Table, Text, Uuid

from fundlyhub.database import app_metadata
from fundlyhub.events.catalogue import PAYLOADS, index
from fundlyhub.events.payload import UUID, Currency, Impersonal, Line, ListOf, Payload, Personal, WireModel
from fundlyhub.events.personal import classified, personal, placeholder, unclassified
from fundlyhub.people.columns import TABLES
from fundlyhub.people.places import markdown, places
from tests.support import ROOT
from tests.support.command import fundlyhub

_TEXTS = ["text", "varchar", "jsonb", "bytea", "tsvector", "uuid", "_text", "_int8", "bpchar", "json", "inet", "name"]
_COLUMNS = """
    SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema IN ('events', 'app', 'analytics') AND t.table_type = 'BASE TABLE' AND c.udt_name = ANY (%s)
      AND c.table_name !~ '^processed_events_'
"""


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda payload: payload.__name__)
def test_each_text_of_an_event_is_classified(payload: type[Payload]) -> None:
    assert unclassified(payload) == [], "mark it with Personal or Impersonal, as docs/people.md says"


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda payload: payload.__name__)
def test_each_personal_field_can_be_erased(payload: type[Payload]) -> None:
    for field in personal(payload):
        placeholder(field)


def test_each_column_is_classified(dsn: str) -> None:
    with psycopg.connect(dsn) as db:
        found = {tuple(row) for row in db.execute(_COLUMNS, (_TEXTS,))}
    known = {
        (schema, table, column)
        for schema, some in TABLES.items()
        for table, one in some.items()
        for column in one.names
    }
    missing = found - known
    assert not missing, "classify them in fundlyhub/people/columns.py, and say what an erasure does with them"
    gone = {one for one in known - found if one[:2] not in {row[:2] for row in found}}
    assert not known - found - gone, "these columns are gone, or hold no text"


class Spot(WireModel):
    """Where it was."""

    town: Line
    code: Annotated[Line, Impersonal("a word of the platform's own")]


@pytest.fixture
def praised() -> Iterator[type[Payload]]:
    """A payload class of another package, with fields that it does not classify."""

    class CampaignPraised(Payload, type="campaign.praised", aggregate=("campaign", "campaign_id")):
        """Somebody has praised a campaign."""

        campaign_id: UUID
        user_id: UUID
        currency: Currency | None = None
        words: Annotated[Line, Personal("text", "user_id")]
        spots: ListOf[Spot] | None = None
        more: Line | None = None

    index.add(CampaignPraised)
    yield CampaignPraised
    index.remove(CampaignPraised)


def test_a_field_of_another_package_that_is_not_classified_is_listed(praised: type[Payload]) -> None:
    assert unclassified(praised) == ["spots[].town", "more"]
    assert [(field.shown, field.whose) for field in personal(praised)] == [("words", ("userId",))]
    assert [field.shown for field in classified(praised)] == ["words", "spots[].town", "spots[].code", "more"]
    listed = {place.field: place.what for place in places()}
    assert listed["campaign.praised 1.0.0: words"] == "text"
    assert listed["campaign.praised 1.0.0: more"] == "not classified"


def test_columns_of_another_package_are_classified_where_they_are_declared() -> None:
    table = Table(
        "praises",
        app_metadata,
        Column("user_id", Uuid, primary_key=True),
        Column("words", Text, info={"personal": "text", "whose": "user_id"}),
        Column("kind", Text, info={"personal": None}),
        Column("more", Text),
    )
    try:
        listed = {place.field: place for place in places() if place.where == "app.praises"}
    finally:
        app_metadata.remove(table)
    assert listed["words"].erased == "emptied"
    assert listed["more"].what == "not classified"
    assert "kind" not in listed


def test_the_command_lists_each_place() -> None:
    done = fundlyhub("people", "where", "--json", settings={})
    listed = {(place["where"], place["field"]) for place in json.loads(done.stdout)}
    assert ("app.contacts", "email") in listed
    assert ("events.events", "donation.completed 2.0.0: donorEmail") in listed
    assert ("outbox folder", "files") in listed


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "people-where.md").read_text() == markdown(), "run `make docs`"
