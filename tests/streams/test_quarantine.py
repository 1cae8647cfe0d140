"""`fundlyhub ingest quarantine`: what operators see of an entry that cannot be an event, and what they do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from fundlyhub.database import connect, get_engine
from fundlyhub.database.audited import Changes
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.settings import Settings
from fundlyhub.streams import quarantine
from fundlyhub.streams.store import store
from tests.streams.entries import DONATION, Said, entry, whole
from tests.support.command import Done, dsns, fundlyhub

OLD = "1777888999000-0"


class Quarantine:
    """The command, on a log into which entries were taken."""

    def __init__(self, settings: Settings) -> None:
        self.variables = {**dsns(settings.dsn("events")), "COLUMNS": "250"}

    def take(self, *said: Said, stream: str = "events", id: str | None = None) -> list[int]:
        """Take entries in; the ids of all that are in quarantine then."""
        with connect("events", autocommit=True) as db:
            store(db, [entry(one, stream=stream, id=id) for one in said])
            return [row[0] for row in db.execute("SELECT id FROM events.quarantine ORDER BY id")]

    def __call__(self, *args: object, status: int = 0) -> Done:
        done = fundlyhub("ingest", "quarantine", *map(str, args), settings=self.variables)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *args: object, status: int = 0) -> Any:
        """The one document that it prints."""
        return json.loads(self(*args, "--json", status=status).stdout)

    def events(self) -> list[str]:
        """The types in the log."""
        with connect("events") as db:
            return [row[0] for row in db.execute("SELECT type FROM events.events ORDER BY position")]


@pytest.fixture
def held(settings: Settings) -> Quarantine:
    return Quarantine(settings)


def test_the_list_and_one_entry_with_all_about_it(held: Quarantine) -> None:
    held.take(whole(version="latest", payload='{"passcode": "s3cret", "email": "ada@example.org"}'))
    held.take({"hello": b"\xff"}, stream="other")
    newest, oldest = held.json("list")
    assert (oldest["stream"], oldest["type"], oldest["state"]) == ("events", "donation.initiated", "open")
    assert oldest["reason"] == "version: must be two or three numbers, such as 1.0.0"
    assert held.json("list", "--stream", "other") == [newest]
    assert held.json("list", "--state", "released") == []
    assert "Quarantine: 1 of 2" in held("list", "--limit", 1).stdout
    shown = held.json("show", oldest["id"])
    assert shown["fields"] is None
    assert shown["names"][:2] == ["id", "type"]
    assert [(line["who"], line["action"]) for line in shown["timeline"]] == [("ingest", "quarantined")]
    assert "ada@" not in held("show", oldest["id"]).stdout
    said = dict(held.json("show", oldest["id"], "--fields")["fields"])
    assert json.loads(said["payload"]) == {"passcode": "[removed]", "email": "ada@example.org"}
    assert "ada@" in held("show", oldest["id"], "--fields").stdout
    assert "\\xff" in held("show", newest["id"], "--fields").stdout
    assert "there is no entry 99 in quarantine" in held("show", 99, status=1).stderr


def test_an_entry_that_cannot_be_read_yet_stays_and_says_why(held: Quarantine) -> None:
    (id,) = held.take(whole(version="latest"))
    done = held.json("release", id, "--by", "ada", status=1)
    reason = "version: must be two or three numbers, such as 1.0.0"
    assert done == {"changed": [], "unchanged": [{"id": id, "why": reason}]}
    timeline = held.json("show", id)["timeline"]
    assert [(line["who"], line["action"]) for line in timeline] == [("ingest", "quarantined"), ("ada", "refused")]
    assert held.events() == []


def test_an_entry_that_is_mended_is_an_event_and_no_other(held: Quarantine, tmp_path: Path) -> None:
    said = whole(version="latest", payload=json.dumps({**DONATION, "amount": "5"}))
    (id,) = held.take(said, id=OLD)
    done = held("release", id, "--set", "version=1.0", "--by", "ada", status=1)
    assert "payload.amount: must be a number" in done.stderr
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(DONATION))
    mended = ("--set", "version=1.0", "--set", f"payload=@{file}")
    assert held.json("release", id, *mended, "--by", "ada")["changed"] == [id]
    assert held.events() == ["donation.initiated"]
    shown = held.json("show", id, "--fields")
    assert (shown["state"], shown["event_id"]) == ("released", said["id"])
    assert dict(shown["fields"])["version"] == "latest", "what came stays as it was"
    last = shown["timeline"][-1]
    assert (last["who"], last["action"]) == ("ada", "released")
    assert last["details"] == f"event {said['id']} with other payload, version"
    assert held("release", id, "--by", "ada").stderr == f"{id}: is released\n", "it is what was wanted"
    held("discard", id, "--reason", "no", "--by", "ada", status=1)
    assert held.take(said, id=OLD) == [id], "and read again it changes nothing"
    assert held.events() == ["donation.initiated"]


def test_a_released_entry_that_has_no_id_is_the_event_that_it_would_have_been(held: Quarantine) -> None:
    broken = {name: value for name, value in whole(type="donation.begun ").items() if name != "id"}
    given = entry(broken, id=OLD)
    with connect("events", autocommit=True) as db:
        store(db, [given])
    (found,) = held.json("list")
    held("release", found["id"], "--set", "type=donation.initiated", "--by", "ada")
    assert held.json("show", found["id"])["event_id"] == str(given.own_id)


def test_all_of_a_stream_are_released_that_can_be(held: Quarantine) -> None:
    good = whole(version="latest"), whole(version="latest")
    ids = held.take(*good, {"hello": "x"}, whole(version="latest"))
    with connect("events", autocommit=True) as db:  # as if the code had learnt to read two of them
        mended = (
            "UPDATE events.quarantine SET fields = replace(fields::text, 'latest', '1.0.0')::jsonb WHERE id = ANY (%s)"
        )
        db.execute(mended, (ids[:2],))
    done = held.json("release", "--all", "--by", "ada", status=1)
    assert done["changed"] == ids[:2]
    assert [one["id"] for one in done["unchanged"]] == ids[2:]
    assert held.json("release", "--stream", "none", "--by", "ada") == {"changed": [], "unchanged": []}


def test_discarded_with_a_reason_it_rests(held: Quarantine) -> None:
    ids = held.take({"hello": "x"}, {"hello": "y"})
    assert held.json("discard", ids[0], "--reason", "a test's", "--by", "ada")["changed"] == ids[:1]
    assert [one["id"] for one in held.json("list")] == ids[1:]
    last = held.json("show", ids[0])["timeline"][-1]
    assert (last["who"], last["action"], last["details"]) == ("ada", "discarded", "a test's")
    assert "is discarded" in held("release", ids[0], "--by", "ada", status=1).stderr
    assert "there is no such entry" in held("discard", 99, "--reason", "x", "--by", "ada", status=1).stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("release",), "say which: IDs, or --stream, or --all"),
        (("release", "1", "--all"), "say which"),
        (("release", "1", "2", "--set", "a=b"), "--set mends one entry"),
        (("release", "1", "--set", "a"), "write --set FIELD=VALUE"),
        (("release", "1", "--set", "a=@/nowhere"), "the file cannot be read"),
        (("discard", "1"), "Missing option '--reason'"),
        (("discard", "1", "--reason", " "), "the reason must be one printable line"),
    ],
)
def test_wrong_use_is_said(held: Quarantine, args: tuple[str, ...], said: str) -> None:
    assert said in held(*args, status=2).stderr


def test_two_operators_release_an_entry_once(held: Quarantine, settings: Settings) -> None:
    (id,) = held.take(whole(version="latest"))

    def release(db: Connection) -> Changes:
        return quarantine.release(db, [id], who="ada", corrections={"version": "1.0.0"})

    with get_engine("events").begin() as first:
        assert release(first).changed == (id,)
        with get_engine("events").begin() as second, pytest.raises(Exception, match="lock timeout"):
            second.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
            release(second)
    with get_engine("events").begin() as second:
        assert release(second) == Changes((), {id: "released"})
    assert held.events() == ["donation.initiated"]


def test_an_outage_is_not_taken_for_the_entrys_fault(held: Quarantine) -> None:
    (id,) = held.take(whole(version="latest"))
    with get_engine("events").begin() as db:
        db.exec_driver_sql("SET LOCAL transaction_read_only = on")
        with pytest.raises(Exception, match="read-only"):
            quarantine.release(db, [id], who="ada", corrections={"version": "1.0.0"})
        db.rollback()
    assert len(held.json("show", id)["timeline"]) == 1


def test_the_same_verbs_in_python(held: Quarantine) -> None:
    (id,) = held.take({"hello": "x"})
    with get_engine("events").begin() as db:
        assert [one.id for one in quarantine.find(db)] == quarantine.ids(db) == [id]
        assert quarantine.count(db) == 1
        with pytest.raises(WrongState):
            quarantine.show(db, id + 1)
        with pytest.raises(WrongUse):
            quarantine.discard(db, [id], who="", reason="x")
        shown = quarantine.show(db, id, fields=True)
        assert shown.held.reason == "hello: is no JSON: Expecting value at character 1"
        assert shown.fields == ((b"hello", b"x"),)


def test_an_event_that_the_database_refuses_is_kept_and_the_rest_is_committed(settings: Settings, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("ALTER TABLE events.events ADD CONSTRAINT picky CHECK (payload ->> 'amount' <> '7')")
    good, bad = whole(), whole(payload=json.dumps({**DONATION, "amount": 7}))
    with connect("events", autocommit=True) as db:
        stored = store(db, [entry(bad, id=OLD), entry(good)])
        assert (stored.new, stored.known, stored.quarantined) == (1, 0, 1)
        assert db.execute("SELECT id::text FROM events.events").fetchall() == [(good["id"],)]
        (reason,) = db.execute("SELECT reason FROM events.quarantine").fetchone() or ("",)
    assert reason == "the database refused it: SQLSTATE 23514"
