"""Attacks through the view that a publisher inserts a single event into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue, UndefinedColumn, WithCheckOptionViolation
from psycopg.types.json import Jsonb

from fundlyhub import publish_event
from fundlyhub.database import get_engine
from fundlyhub.errors import InvalidEvent
from fundlyhub.events import Event, publishers
from fundlyhub.events.plain import MOST_BYTES, is_plain
from fundlyhub.secret_keys import ALL_NAMES
from fundlyhub.settings import Settings
from tests.security.publishers import log, publisher
from tests.support.make import completed

Db = psycopg.Connection[Any]
VIEW = "events.publications"
INSERT = f"INSERT INTO {VIEW} (id, type, version, payload, metadata, occurred_at) VALUES (gen_random_uuid(), "


@pytest.fixture
def own(settings: Settings, dsn: str) -> Iterator[str]:
    with publisher(dsn) as own:
        yield own


@pytest.fixture
def api(own: str) -> Iterator[Db]:
    with psycopg.connect(own, autocommit=True) as db:
        yield db


def insert(db: Db, kind: str = "a.b", payload: str = "{}", metadata: str = "{}", at: str = "now") -> None:
    db.execute(f"{INSERT} %s, '1.0.0', %s, %s, %s)", (kind, payload, metadata, at))


def test_it_takes_what_keeps_the_rules(dsn: str, api: Db) -> None:
    insert(api, payload='{"a": 1}')
    assert log(dsn) == [("a.b", {"a": 1}, {})]


CHOSEN = {
    "xid": ("xid", "'3'::xid8", UndefinedColumn),
    "recorded_at": ("recorded_at", "now()", UndefinedColumn),
    "position": ("position", "7", InsufficientPrivilege),
}


@pytest.mark.parametrize(("column", "value", "error"), CHOSEN.values(), ids=list(CHOSEN))
def test_nobody_chooses_what_the_log_assigns(api: Db, column: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        api.execute(
            f"""INSERT INTO {VIEW} ({column}, id, type, version, payload, metadata, occurred_at)
                OVERRIDING SYSTEM VALUE VALUES ({value}, gen_random_uuid(), 'a.b', '1.0.0', '{{}}', '{{}}', now())"""
        )


BROKEN = {
    "no type": {"kind": "Not a type"},
    "no object": {"payload": "[]"},
    "text of 80 MB": {"payload": '{"a": "' + "x" * 500_000 + '"}'},
    "numbers that grow": {"payload": '{"a": ' + "1e100000" + ', "b": 1e100000, "c": 1e100000, "d": 1e100000}'},
    "deep": {"payload": '{"a": {"b": {"c": {}}}}'},
    "wide metadata": {"metadata": '{"a": "' + "x" * 5_000 + '"}'},
    "no time": {"at": "infinity"},
    **{f"secret {name}": {"payload": f'{{"{name}": "s"}}'} for name in sorted(ALL_NAMES)},
    "secret in the metadata": {"metadata": '{"passcode": "s"}'},
    "secret deeper": {"payload": '{"a": {"passcode": "s"}}'},
}


@pytest.mark.parametrize("values", BROKEN.values(), ids=list(BROKEN))
def test_nothing_passes_that_the_functions_would_refuse_or_change(dsn: str, api: Db, values: dict[str, str]) -> None:
    with pytest.raises(WithCheckOptionViolation):
        insert(api, **values)
    assert log(dsn) == []


READ = {
    "rows": f"SELECT payload FROM {VIEW}",
    "what it inserts": f"{INSERT} 'a.b', '1.0.0', '{{}}', '{{}}', now()) RETURNING payload",
    "a probe": f"SELECT count(*) FROM {VIEW} WHERE payload::text LIKE '%s3cret%'",
    "an overwriting": f"{INSERT} 'a.b', '1.0.0', '{{}}', '{{}}', now()) ON CONFLICT (id) DO UPDATE SET type = 'c.d'",
    "an update": f"UPDATE {VIEW} SET payload = '{{}}'",
    "a deletion": f"DELETE FROM {VIEW}",
    "a lock against all": f"BEGIN; LOCK TABLE {VIEW} IN SHARE MODE",
}


@pytest.mark.parametrize("attack", READ.values(), ids=list(READ))
def test_nobody_reads_or_changes_events(api: Db, attack: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        api.execute(attack.encode())


def test_ids_of_others_are_seen_by_no_query_and_no_function_in_it(dsn: str, api: Db) -> None:
    publish_event(completed())
    api.execute("CREATE TEMP TABLE seen (id uuid)")
    api.execute(
        """CREATE FUNCTION pg_temp.leak(id uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
           BEGIN RAISE NOTICE 'leaked %', id; RETURN true; END $$"""
    )
    notices: list[str] = []
    api.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    with api.transaction():
        assert api.execute(f"SELECT id, position FROM {VIEW} WHERE pg_temp.leak(id)").fetchall() == []
        insert(api)
        assert len(api.execute(f"SELECT id FROM {VIEW} WHERE pg_temp.leak(id)").fetchall()) == 1
    assert len(log(dsn)) == 2
    assert len(notices) == 1


def test_it_takes_nothing_once_a_role_is_limited(dsn: str, own: str, api: Db) -> None:
    with get_engine("events").begin() as db:
        publishers.allow(db, own.partition("//")[2].partition(":")[0], ["a.b"], who="ann")
    for kind in ("a.b", "c.d"):
        with pytest.raises(WithCheckOptionViolation):
            insert(api, kind)
    with psycopg.connect(own) as session, pytest.raises(InvalidEvent, match="type is not among those"):
        publish_event(completed(), session=session)  # Python takes the other way by itself
    api.execute("SELECT events.publish_event('a.b', '{}')")
    assert log(dsn, "type") == [("a.b",)]


def test_a_limit_holds_for_a_role_that_may_not_see_the_flag(dsn: str, own: str, api: Db) -> None:
    role = own.partition("//")[2].partition(":")[0]
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(f"REVOKE SELECT ON SEQUENCE events.closer_look FROM {role}".encode())
    with get_engine("events").begin() as owner:
        publishers.allow(owner, role, ["a.b"], who="ann")
    with pytest.raises(WithCheckOptionViolation):
        insert(api, "c.d")


PLAIN = {"a": "x", "b": 2.5, "c": None}
OTHER = {
    "nested": {"a": {"b": 1}},
    "list": {"a": [1]},
    "long": {"a": "x" * MOST_BYTES},
    "a brace in a text": {"a": "{"},
    **{name: {name: "s"} for name in sorted(ALL_NAMES)},
}


@pytest.mark.parametrize("metadata", [{}, PLAIN, *OTHER.values()], ids=["none", "plain", *OTHER])
def test_python_sends_only_plain_events_into_the_view(settings: Settings, dsn: str, metadata: dict[str, Any]) -> None:
    event = Event.of(completed(), metadata=metadata)
    assert is_plain(event) == (metadata in ({}, PLAIN) or not event.metadata)
    published = publish_event(event)
    assert published.position
    with psycopg.connect(dsn) as db:
        (kept,) = db.execute("SELECT metadata FROM events.events WHERE id = %s", (published.id,)).fetchall()
        (taken,) = db.execute(
            "SELECT events.is_plain('a.b', '1.0.0', NULL, NULL, '{}', %s, now())", (Jsonb(event.metadata),)
        ).fetchall()
    assert kept == (event.metadata,)
    assert taken[0] or not is_plain(event), "what Python holds for plain, the log does as well"


ERASED = {"erased": ["changes.name"]}


def test_nobody_writes_the_mark_of_an_erasure(settings: Settings, dsn: str, api: Db) -> None:
    """With it other content under the same id passed for a duplicate, and processors took words for absent."""
    with pytest.raises(InvalidEvent, match=r"metadata\.erased: is reserved"):
        Event.of(completed(), metadata=ERASED)
    event = Event.of(completed())
    with pytest.raises(InvalidEvent, match=r"metadata\.erased: is reserved"):
        Event.model_validate({**event.to_envelope(), "metadata": ERASED})
    copy = event.model_copy(update={"metadata": ERASED})
    assert not is_plain(copy)
    with pytest.raises(Exception, match="metadata must not have the key erased"):
        publish_event(copy)
    with pytest.raises(WithCheckOptionViolation):
        insert(api, metadata='{"erased": []}')
    batch = "'n', 1, 'id', gen_random_uuid(), 'type', 'a.b', 'version', '1.0.0', 'payload', '{}'::jsonb, 'metadata', %s"
    for said in (
        "SELECT events.publish_event('a.b', '{}', metadata => %s)",
        f"SELECT * FROM events.append_events(jsonb_build_array(jsonb_build_object({batch}, 'occurred_at', now())))",
    ):
        with pytest.raises(InvalidParameterValue, match="metadata must not have the key erased"):
            api.execute(said, (Jsonb(ERASED),))
    assert log(dsn) == []
    insert(api, metadata='{"a": "erased"}')
    assert len(log(dsn)) == 1
