"""The story of an event: what happened to it in order of time, as the commands tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fundlyhub import publish_event
from fundlyhub.database import connect
from fundlyhub.history.finding import the_event
from fundlyhub.history.story import Story, story
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import settings_of
from tests.support.command import fundlyhub
from tests.support.make import completed, refunded, search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.roles import Roles


@pytest.fixture
def db(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection to a fresh log."""
    with connect("events", settings=settings, autocommit=True) as db:
        yield db


def said(told: Story) -> list[tuple[str, str]]:
    return [(entry.where, entry.what) for entry in told.entries]


def test_an_event_that_nothing_took_up_yet(db: psycopg.Connection[Any]) -> None:
    event = publish_event(search("x"))
    told = story(db, the_event(db, str(event.position)))
    assert said(told) == [("log", "published search.query.submitted 1.0.0"), ("relay", "not relayed yet")]
    assert (told.caused, told.looked_up_to) == ((), None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("platform", ["valkey"], indirect=True)  # the broker is nothing to it
@pytest.mark.chaos  # for its length
def test_the_whole_way_of_an_event(platform: Platform) -> None:
    platform.execute(TABLES)
    platform.relay()
    platform.worker("writes,projections,notifications")
    gift = completed()
    event = publish_event(gift)
    refund = publish_event(refunded(gift.donation_id, "1"), causation_id=event.id)
    bad = publish_event(search("permanent"))
    letters = "SELECT count(*) FROM events.dead_letters WHERE position = %s"
    wait_until(lambda: platform.value(letters, bad.position), what="the dead letter")
    platform.wait_applied("campaign_stats", 2)
    with connect("events", autocommit=True) as db:
        told = story(db, the_event(db, str(event.id)))
        assert said(told)[:2] == [("log", f"published {event.type} {event.version}"), ("relay", "relayed")]
        assert ("campaign_stats", "applied") in said(told)
        assert ("log", "caused donation.refunded") in said(told)
        assert [one.position for one in told.caused] == [refund.position]
        times = [entry.at for entry in told.entries if entry.at]
        assert times == sorted(times)
        assert ("log", "caused by donation.completed") in said(story(db, the_event(db, str(refund.position))))
        dead = story(db, the_event(db, str(bad.position)))
    assert [what for where, what in said(dead) if where == "test_count"] == [
        f"dead letter {platform.value('SELECT id FROM events.dead_letters')}, open now",
        f"dead letter {platform.value('SELECT id FROM events.dead_letters')} failed",
    ]
    shown = platform.run("events", "story", str(bad.position))
    assert shown.returncode == 0, shown.stderr
    assert "published search.query.submitted 1.0.0" in " ".join(shown.stdout.split())
    document = json.loads(platform.run("events", "story", str(event.id)[:13], "--json").stdout)
    assert document["event"]["position"] == event.position
    assert document["caused"] == [refund.position]


def variables(settings: Settings) -> dict[str, str]:
    dsn = settings.dsn("events")
    return {f"FUNDLYHUB_{name}_DSN": dsn for name in ("EVENTS", "APP", "ANALYTICS")}


@pytest.mark.usefixtures("db")
def test_the_commands_print_lines_and_payloads_only_on_request(settings: Settings) -> None:
    first, second = publish_event(search("s3cret")), publish_event(completed())
    given = variables(settings)

    def run(*args: str) -> str:
        done = fundlyhub("events", *args, settings=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    lines = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert [line["position"] for line in lines] == [second.position, first.position]
    assert "payload" not in lines[0]
    assert "donation.completed" in run("list", "--type", "donation.*")
    assert [json.loads(line)["position"] for line in run("tail", "--json").splitlines()] == [
        first.position, second.position,
    ]  # fmt: skip
    quiet = run("list") + run("tail") + run("show", str(first.position)) + run("story", str(first.position))
    assert "s3cret" not in quiet
    for args in (("list", "--json"), ("tail",), ("show", str(first.position))):
        assert "s3cret" in run(*args, "--payload")
    audit = json.loads(fundlyhub("audit", "--json", settings=given).stdout)
    assert [one["command"].rpartition(" ")[2] for one in audit] == ["show", "tail", "list"]
    wrong = fundlyhub("events", "story", "no-such", settings=given)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)


def test_readers_may_ask_and_see_no_payload(settings: Settings, dsn: str) -> None:
    event = publish_event(search("s3cret"))
    given = Roles(dsn).variables("reader")
    with settings_of(given), connect("events", autocommit=True) as db:
        assert story(db, the_event(db, str(event.position))).entries
    assert fundlyhub("events", "list", "--since", "1h", settings=given).returncode == 0
    assert fundlyhub("events", "tail", settings=given).returncode == 0
    refused = fundlyhub("events", "show", str(event.position), "--payload", settings=given)
    assert refused.returncode == 1
    assert "s3cret" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
def test_tail_follows_until_it_is_stopped(platform: Platform) -> None:
    first = publish_event(search("first"))
    tail = platform.start("tail", [platform.python, "-m", "fundlyhub", "events", "tail", "-f", "--json"], {})
    wait_until(lambda: tail.said(f'"position":{first.position},'), what="the newest event")
    second = publish_event(search("second"))
    wait_until(lambda: tail.said(f'"position":{second.position},'), what="the event that came")
    assert tail.terminate() == 0
