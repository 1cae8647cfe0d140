"""Publishing from SQL alone: the door for every other language."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, uuid4

import psycopg
import pytest
from psycopg.errors import InvalidParameterValue, UniqueViolation
from psycopg.types.json import Jsonb
from pydantic.alias_generators import to_snake
from sqlalchemy import create_engine

from fundlyhub import publish_event
from fundlyhub.events.catalogue import SECRET_KEYS
from fundlyhub.events.reading import read
from fundlyhub.settings import Settings
from tests.support.make import completed

FOLLOWED = Jsonb({"followerId": str(uuid4()), "followedId": str(uuid4())})


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def publish(db: psycopg.Connection[Any], type: str | None, payload: Any, **more: Any) -> Any:
    named = "".join(f", {name} => %({name})s" for name in more)
    row = db.execute(
        f"SELECT events.publish_event(%(type)s::text, %(payload)s{named})",
        {"type": type, "payload": payload, **more},
    ).fetchone()
    assert row is not None
    return row[0]


def the_event(db: psycopg.Connection[Any]) -> dict[str, Any]:
    cursor = db.cursor(row_factory=psycopg.rows.dict_row).execute("SELECT * FROM events.events")
    (row,) = cursor.fetchall()
    return dict(row)


def test_one_statement_publishes(db: psycopg.Connection[Any]) -> None:
    id = publish(db, "user.followed_user", FOLLOWED)
    row = the_event(db)
    assert (row["id"], row["type"], row["version"], row["payload"]) == (
        id, "user.followed_user", "1.0.0", FOLLOWED.obj,
    )  # fmt: skip
    assert abs((row["occurred_at"] - datetime.now(UTC)).total_seconds()) < 60


def test_new_ids_are_in_the_order_of_time(db: psycopg.Connection[Any]) -> None:
    before = datetime.now(UTC)
    ids = [publish(db, "user.followed_user", FOLLOWED) for _ in range(50)]
    milliseconds = [id.int >> 80 for id in ids]
    assert milliseconds == sorted(milliseconds)
    assert int(before.timestamp() * 1_000) <= milliseconds[0] <= milliseconds[-1] <= time.time() * 1_000
    assert {(id.version, id.variant) for id in ids} == {(7, RFC_4122)}
    assert len({id.int & (1 << 62) - 1 for id in ids}) == 50  # what is random


def test_it_is_part_of_the_callers_transaction(db: psycopg.Connection[Any]) -> None:
    db.execute("BEGIN")
    publish(db, "user.followed_user", FOLLOWED)
    db.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM events.events").fetchone() == (0,)


def test_any_search_path_will_do(db: psycopg.Connection[Any]) -> None:
    db.execute("SET search_path = pg_catalog")
    publish(db, "user.followed_user", FOLLOWED)
    assert the_event(db)["type"] == "user.followed_user"


def test_everything_can_be_given(db: psycopg.Connection[Any]) -> None:
    given = {
        "id": uuid4(),
        "version": "1.0",
        "occurred_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "correlation_id": uuid4(),
        "causation_id": uuid4(),
        "metadata": Jsonb({"clientId": "x"}),
        "aggregate_type": "user",
        "aggregate_id": "7",
    }
    assert publish(db, "user.followed_user", FOLLOWED, **given, notify=False) == given["id"]
    row = the_event(db)
    assert row["metadata"] == {"clientId": "x"}
    assert {name: row[name] for name in given if name != "metadata"} == {
        name: value for name, value in given.items() if name != "metadata"
    }


def test_a_type_that_nobody_knows_is_stored(db: psycopg.Connection[Any]) -> None:
    publish(db, "moon.landing2.completed", Jsonb({}))
    assert the_event(db)["type"] == "moon.landing2.completed"


def test_the_same_id_twice_is_one_event(db: psycopg.Connection[Any]) -> None:
    id = uuid4()
    for try_ in (1, 2):
        assert publish(db, "user.followed_user", FOLLOWED, id=id, metadata=Jsonb({"try": try_})) == id
    assert the_event(db)["metadata"] == {"try": 1}


@pytest.mark.parametrize(
    ("type", "payload", "more"),
    [
        ("user.unfollowed_user", FOLLOWED, {}),
        ("user.followed_user", Jsonb({}), {}),
        ("user.followed_user", FOLLOWED, {"version": "2.0.0"}),
        ("user.followed_user", FOLLOWED, {"occurred_at": datetime(2026, 1, 31, tzinfo=UTC)}),
    ],
)
def test_with_other_content_it_is_a_unique_violation(
    db: psycopg.Connection[Any], type: str, payload: Jsonb, more: dict[str, Any]
) -> None:
    id = publish(db, "user.followed_user", FOLLOWED)
    with pytest.raises(UniqueViolation, match=str(id)):
        publish(db, type, payload, id=id, **more)


def test_both_doors_agree_on_what_is_the_same(settings: Settings, db: psycopg.Connection[Any]) -> None:
    event = publish_event(completed())
    stored = the_event(db)
    publish(db, stored["type"], Jsonb(stored["payload"]), id=event.id, version=stored["version"])
    assert the_event(db) == stored


@pytest.mark.parametrize(
    ("type", "payload", "more", "said"),
    [
        (None, FOLLOWED, {}, "type must be"),
        ("", FOLLOWED, {}, "type must be"),
        ("followed", FOLLOWED, {}, "type must be"),
        ("User.Followed", FOLLOWED, {}, "type must be"),
        ("user.followed user", FOLLOWED, {}, "type must be"),
        ("user.followed\n", FOLLOWED, {}, "type must be"),
        ("a.b.c.d.e", FOLLOWED, {}, "type must be"),
        ("user." + "x" * 200, FOLLOWED, {}, "type must be"),
        ("user.followed_user", None, {}, "payload must be a JSON object"),
        ("user.followed_user", Jsonb([]), {}, "payload must be a JSON object"),
        ("user.followed_user", Jsonb(None), {}, "payload must be a JSON object"),
        ("user.followed_user", Jsonb("private"), {}, "payload must be a JSON object"),
        ("user.followed_user", FOLLOWED, {"version": None}, "version must be"),
        ("user.followed_user", FOLLOWED, {"version": "new"}, "version must be"),
        ("user.followed_user", FOLLOWED, {"occurred_at": "infinity"}, "occurred_at must be finite"),
        ("user.followed_user", FOLLOWED, {"metadata": Jsonb([])}, "metadata must be a JSON object"),
        ("user.followed_user", FOLLOWED, {"metadata": Jsonb(None)}, "metadata must be a JSON object"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused(
    db: psycopg.Connection[Any], type: str | None, payload: Any, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidParameterValue, match=said) as caught:
        publish(db, type, payload, **more)
    assert "private" not in str(caught.value)
    assert db.execute("SELECT count(*) FROM events.events").fetchone() == (0,)


def test_no_metadata_is_an_empty_object(db: psycopg.Connection[Any]) -> None:
    publish(db, "user.followed_user", FOLLOWED, metadata=None)
    assert the_event(db)["metadata"] == {}


class TestSecrets:
    def test_the_table_knows_every_secret_of_the_catalogue(self, db: psycopg.Connection[Any]) -> None:
        known = set(db.execute("SELECT type, key FROM events.secret_keys").fetchall())
        for type, keys in SECRET_KEYS.items():
            assert {(type, key) for key in keys} | {(type, to_snake(key)) for key in keys} <= known

    @pytest.mark.parametrize(
        ("type", "key"),
        [
            ("user.logged_in", "sessionId"),
            ("user.logged_in", "session_id"),
            *[
                (type, key)
                for type in ("campaign.created", "campaign.updated")
                for key in ("passcode", "passcode_hash", "linkToken", "link_token", "link_token_hash")
            ],
        ],
    )
    def test_a_secret_is_in_no_part_of_the_row(self, db: psycopg.Connection[Any], type: str, key: str) -> None:
        hiding = {key: "s3cret", "kept": 1}
        publish(
            db,
            type,
            Jsonb({**hiding, "changes": hiding, "previousValues": hiding}),
            metadata=Jsonb(hiding),
        )
        row = the_event(db)
        assert "s3cret" not in str(row)
        assert row["payload"] == {"kept": 1, "changes": {"kept": 1}, "previousValues": {"kept": 1}}
        assert row["metadata"] == {"kept": 1}

    def test_other_types_keep_a_key_of_that_name(self, db: psycopg.Connection[Any]) -> None:
        publish(db, "search.query.submitted", Jsonb({"sessionId": "of a search"}))
        assert the_event(db)["payload"] == {"sessionId": "of a search"}

    @pytest.mark.parametrize("odd", [Jsonb({"changes": None}), Jsonb({"changes": [], "previousValues": "x"})])
    def test_odd_changes_are_left_to_the_processors(self, db: psycopg.Connection[Any], odd: Jsonb) -> None:
        publish(db, "campaign.updated", odd)
        assert the_event(db)["payload"] == odd.obj


def test_a_time_beyond_pythons_can_be_read(dsn: str, db: psycopg.Connection[Any]) -> None:
    """Whoever inserts into the table itself passes the door by; the neighbours must not suffer."""
    for moment in ("infinity", "-infinity", "20000-01-01", "2026-01-31"):
        db.execute(
            """INSERT INTO events.events (id, type, version, payload, occurred_at)
               VALUES (gen_random_uuid(), 'moon.landed', '1.0.0', '{}', %s)""",
            (moment,),
        )
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        times = [row.occurred_at.year for row in read(connection, [1, 2, 3, 4])]
    engine.dispose()
    assert times == [9999, 1, 9999, 2026]
