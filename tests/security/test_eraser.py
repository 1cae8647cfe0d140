"""The role that erases people takes their words out everywhere, and can change no fact of the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fundlyhub import publish_event
from fundlyhub.database import connect
from fundlyhub.people.checking import check
from fundlyhub.people.erasing import again
from fundlyhub.people.facts import write_down
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.databases import settings_of
from tests.people.conftest import at_rest, peopled  # noqa: F401 - fixtures
from tests.people.erased import FACTS, GUEST, STATS, archive, erased, guest_gift, person, places, take_up
from tests.security.test_nested_events import INSERT, nested
from tests.support.command import fundlyhub
from tests.support.roles import Roles
from tests.verification.world import BEN, OURS, found, sql

REDACT = "SELECT events.redact(%s, %s, %s, %s)"
GIFT = "SELECT position, id, payload, metadata FROM events.events WHERE type = 'donation.completed' LIMIT 1"
ADDRESS = "ben.eraser@example.org"


@pytest.fixture
def roles(at_rest: Settings) -> Roles:  # noqa: F811
    """The full platform, whose roles know the facts of its events."""
    made = Roles(at_rest.dsn("events"))
    with connect("events", autocommit=True) as db:
        write_down(db)
    return made


@pytest.mark.chaos  # for its length
def test_it_erases_a_person_everywhere(roles: Roles, tmp_path: Path) -> None:
    publish_event(guest_gift())
    long = "9" * 30
    with psycopg.connect(roles.owner, autocommit=True) as db:
        for kind, payload, metadata in (
            ("other.thing", f'{{"userId": "{BEN}", "words": "{ADDRESS}", "n": {long}}}', "{}"),
            ("user.profile_updated", f'{{"userId": "{BEN}", "changes": {{"name": "x"}}, "no.key": 1}}', '{"x": 1}'),
            ("user.profile_updated", f'{{"userId": "{BEN}", "changes": {{"role": "{ADDRESS}", "x": 2}}}}', "{}"),
            ("user.login", f'{{"userId": "{BEN}", "x": {nested("lists", 300, json.dumps(ADDRESS))}}}', "{}"),
        ):
            db.execute(INSERT.encode(), (kind, payload, metadata))
        archive(db, tmp_path)
        db.execute(
            "INSERT INTO events.corrections (processor, position, event_id, version, payload)"
            " SELECT 'campaign_stats', position, id, version, payload FROM events.events"
            " WHERE type = 'donation.completed' AND payload ->> 'donorId' = %s LIMIT 1",
            (str(BEN),),
        )
    take_up()
    numbers, facts = sql(STATS), sql(FACTS)
    with settings_of(roles.variables("eraser")):
        assert erased(BEN, address=ADDRESS).whole
        assert erased(address=GUEST).whole
        assert erased(BEN, address=ADDRESS).changed.total() == 0
        assert all(one.whole for one in again(get_settings(), OURS, all=True))
    for value in (ADDRESS, "Ben B.", "ben@example.org", GUEST):
        assert places(value) == [], value
    assert check(get_settings(), person(BEN, address=ADDRESS), ["Ben B."]) == []
    assert (sql(STATS), sql(FACTS)) == (numbers, facts)
    assert sql("SELECT DISTINCT role FROM events.erasures") == [("fundlyhub_eraser",)]
    assert found() == []


def test_by_its_functions_it_changes_no_fact(roles: Roles) -> None:
    with roles.connect("eraser") as db:
        row: Any = db.execute(GIFT).fetchone()
        at, id, payload, metadata = row
        lies = {
            "an amount": payload | {"amount": 1},
            "no amount": {key: value for key, value in payload.items() if key != "amount"},
            "words for an amount": payload | {"amount": "erased"},
            "another donor": payload | {"donorId": str(uuid4())},
            "nobody": payload | {"campaignId": "erased"},
            "another name": payload | {"donorName": "Eve"},
            "more": payload | {"x": "erased"},
            "nothing": {},
            "a list": [],
        }
        for lie in lies.values():
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(REDACT, (at, id, Jsonb(lie), Jsonb(metadata)))
        wrong: list[Any] = [{**metadata, "imported": True}, {**metadata, "x": 1}, [], {**metadata, "erased": "x"}]
        for said in wrong:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(REDACT, (at, id, Jsonb(payload), Jsonb(said)))
        db.execute(REDACT, (at, uuid4(), Jsonb({}), Jsonb({})))  # another event: nothing
        assert db.execute(GIFT).fetchone() == row


UNKNOWN: list[tuple[Any, Any, bool]] = [
    ({"a": "words"}, {"a": "erased"}, True), ({"a": ["w", 1]}, {"a": ["erased", 1]}, True),
    ({"a": "words"}, {"a": "other"}, False), ({"a": "words"}, {}, False), ({"a": 1}, {"a": "erased"}, False),
    ({"a": "10.50"}, {"a": "erased"}, False), ({"a": str(UUID(int=1))}, {"a": "erased"}, False),
    ({"a": "EUR"}, {"a": "erased"}, False), ({"a": True}, {"a": "erased"}, False), ({"a": {"b": 1}}, {"a": {}}, False),
    ({"a": ["w", "v"]}, {"a": ["w"]}, False), ({"a": [1, 2]}, {"a": [2, 1]}, False),
    ({"a": None}, {"a": "erased"}, False), ({"a": {"b": "w"}}, {"a": "erased"}, False),
    ({"a": 1.5}, {"a": 1.25}, False),
]  # fmt: skip


def test_of_a_type_that_no_class_has_only_words_are_overwritten(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as owner, roles.connect("eraser") as db:
        for old, new, may in UNKNOWN:
            owner.execute(INSERT.encode(), ("other.kind", json.dumps(old), "{}"))
            at: Any = owner.execute("SELECT position, id FROM events.events ORDER BY position DESC LIMIT 1").fetchone()
            try:
                db.execute(REDACT, (*at, Jsonb(new), Jsonb({"erased": ["*"]})))
                done = True
            except psycopg.errors.InsufficientPrivilege:
                done = False
            assert done is may, (old, new)


def test_an_archive_is_renamed_to_its_next_number_and_nothing_else(roles: Roles) -> None:
    rename, digest = "SELECT events.rename_archive(%s, 'x', %s, %s)", "0" * 64
    others = (
        "/etc/passwd",
        "/b/events-1-9.1.jsonl.gz",
        "/a/events-1-8.1.jsonl.gz",
        "/a/../b/events-1-9.1.jsonl.gz",
    )
    with roles.connect("eraser") as db:
        for new in others:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(rename, ("/a/events-1-9.jsonl.gz", new, digest))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(rename, ("/a/events-1-9.jsonl.gz", "/a/events-1-9.1.jsonl.gz", "x"))
        db.execute(rename, ("/a/events-1-9.jsonl.gz", "/a/events-1-9.1.jsonl.gz", digest))


def test_its_functions_do_not_look_where_the_caller_says(roles: Roles) -> None:
    with roles.connect("eraser") as db:
        db.execute("CREATE TEMP TABLE fact_keys (type text, version text, keys text[])")
        db.execute("CREATE FUNCTION pg_temp.only_erased(jsonb, jsonb, text, text[], boolean) RETURNS boolean"
                   " LANGUAGE sql AS 'SELECT true'")  # fmt: skip
        db.execute("SET search_path = pg_temp, events")
        row: Any = db.execute(GIFT).fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(REDACT, (row[0], row[1], Jsonb({"amount": 1}), Jsonb({})))


def test_the_command_writes_the_facts_down_with_the_roles(dsn: str) -> None:
    ours = {f"FUNDLYHUB_{name}_DSN": dsn for name in ("EVENTS", "APP", "ANALYTICS")}
    assert fundlyhub("migrate", "--roles", settings=ours).returncode == 0
    with psycopg.connect(dsn) as db:
        written = db.execute("SELECT keys FROM events.fact_keys WHERE type = 'payout.approved' ORDER BY version")
        assert written.fetchall() == [(["approvedAt", "approvedBy", "requestId"],)] * 2
