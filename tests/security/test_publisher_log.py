"""Attacks on the log by a service that may publish: on its positions, transaction ids, contents and order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from tests.security.publishers import log, publisher

Db = psycopg.Connection[Any]
PUBLISH = "SELECT events.publish_event(%s, %s)"
ROW = "gen_random_uuid(), 'user.followed_user', '1.0.0', '{}', now()"


@pytest.fixture
def api(dsn: str) -> Iterator[Db]:
    """A publisher's connection."""
    with publisher(dsn) as own, psycopg.connect(own, autocommit=True) as db:
        yield db


@pytest.fixture
def others(dsn: str) -> Iterator[Db]:
    """That of another service."""
    with publisher(dsn, "other") as own, psycopg.connect(own, autocommit=True) as db:
        yield db


def publish(db: Db) -> None:
    db.execute(PUBLISH, ("user.followed_user", Jsonb({"private": "s3cret"})))


@pytest.mark.parametrize("xid", ["3", "999999999999"], ids=["that is long past", "that is yet to come"])
def test_nobody_chooses_a_transaction_id(api: Db, xid: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        api.execute(
            f"""INSERT INTO events.events (xid, id, type, version, payload, occurred_at)
                VALUES (%s::text::xid8, {ROW})""",
            (xid,),
        )


def test_nobody_takes_the_positions_to_come(dsn: str, api: Db, others: Db) -> None:
    with pytest.raises(InsufficientPrivilege):
        api.execute(
            f"""INSERT INTO events.events (position, id, type, version, payload, occurred_at)
                OVERRIDING SYSTEM VALUE SELECT n, {ROW} FROM generate_series(1, 20) n"""
        )
    for _ in range(20):
        publish(others)
    assert log(dsn, "position") == [(n,) for n in range(1, 21)]


def test_nobody_uses_positions_up(api: Db) -> None:
    with pytest.raises(InsufficientPrivilege):
        api.execute("SELECT nextval('events.events_position_seq') FROM generate_series(1, 1000)")


def test_nobody_chooses_when_an_event_was_recorded(api: Db) -> None:
    with pytest.raises(InsufficientPrivilege):
        api.execute(
            f"""INSERT INTO events.events (recorded_at, id, type, version, payload, occurred_at)
                VALUES ('2001-01-01', {ROW})"""
        )


READ = {
    "rows": "SELECT payload::text FROM events.events",
    "what it inserts": f"INSERT INTO events.events (id, type, version, payload, occurred_at) SELECT {ROW} RETURNING id",
    "some columns": "SELECT id, type FROM events.events",
    "a probe": "SELECT count(*) FROM events.events WHERE payload::text LIKE '%s3cret%'",
}


@pytest.mark.parametrize("query", READ.values(), ids=list(READ))
def test_nobody_reads_what_others_have_published(api: Db, others: Db, query: str) -> None:
    publish(others)
    with pytest.raises(InsufficientPrivilege):
        api.execute(query.encode())


def test_nobody_reads_what_they_have_published_from_the_servers_statistics(dsn: str, api: Db, others: Db) -> None:
    for _ in range(20):
        publish(others)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("ANALYZE events.events")
    found = api.execute(
        "SELECT most_common_vals::text FROM pg_stats WHERE schemaname = 'events' AND tablename = 'events'"
    ).fetchall()
    assert "s3cret" not in str(found)


def test_nobody_reads_ids_of_archived_events(dsn: str, api: Db) -> None:
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("INSERT INTO events.event_ids VALUES (gen_random_uuid(), 1)")
    with pytest.raises(InsufficientPrivilege):
        api.execute("SELECT id FROM events.event_ids")


def test_nobody_passes_the_checks_by_the_inner_function(dsn: str, api: Db) -> None:
    row = {"n": 1, "id": str(uuid4()), "type": "No Type\n", "version": "?", "payload": [], "metadata": [],
           "occurred_at": "infinity"}  # fmt: skip
    with pytest.raises(psycopg.Error):
        api.execute("SELECT * FROM events.insert_events(%s)", (Jsonb([row]),))
    assert log(dsn) == []


def test_nobody_passes_the_checks_by_the_table(dsn: str, api: Db) -> None:
    with pytest.raises(InsufficientPrivilege), api.cursor() as cursor:  # noqa: SIM117  # the error comes at its end
        with cursor.copy("COPY events.events (id, type, version, payload, occurred_at) FROM STDIN") as rows:
            rows.write_row((uuid4(), "No Type", "?", '["s3cret"]', "infinity"))
    assert log(dsn) == []


def test_no_setting_of_a_session_weakens_the_check_of_types(dsn: str, api: Db) -> None:
    """With it off a backslash in a function's text means nothing, and a dot in a pattern fits any character."""
    api.execute("SET standard_conforming_strings = off")
    with pytest.raises(psycopg.Error):
        publish_type(api, "user\nfollowed_user")
    assert log(dsn) == []


def publish_type(db: Db, kind: str) -> None:
    db.execute(PUBLISH, (kind, Jsonb({})))


def test_nobody_learns_of_anothers_event_by_publishing_its_id_again(dsn: str, api: Db, others: Db) -> None:
    publish(others)
    ((id,),) = log(dsn, "id")
    row = {"n": 1, "id": str(id), "type": "user.followed_user", "version": "1.0.0", "payload": {},
           "metadata": {}, "occurred_at": "2026-01-01", "time_given": False}  # fmt: skip
    found = []
    for door in ("append_events", "insert_events"):
        try:
            found += api.execute(f"SELECT * FROM events.{door}(%s)", (Jsonb([row]),)).fetchall()
        except psycopg.Error:
            api.rollback()
    assert all((position, at) == (None, None) for _, position, at, _ in found)
