"""`people erase --check` and `people show`: what is left of a person, and what is held about them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from fundlyhub import UserProfileUpdated, publish_event
from fundlyhub.channels.elasticsearch import SearchEngine, Versioned
from fundlyhub.people.checking import check
from fundlyhub.settings import Settings, get_settings
from tests.people.erased import GUEST, erased, guest_gift, person
from tests.support.command import Done, fundlyhub
from tests.support.elasticsearch import Peer
from tests.support.searched import searched_by
from tests.verification import world
from tests.verification.world import ANN, BEN, sql


def left(values: tuple[str, ...] = (), **who: str) -> set[str]:
    """Where something is left of Ben, or of a guest."""
    found = check(get_settings(), person(*([] if who else [BEN]), **who), values)
    return {one.where for one in found}


def test_it_finds_each_place_and_nothing_after_the_erasure(at_rest: Settings) -> None:
    values = ("Ben B.", "ben@example.org")
    assert {"events.events", "app.contacts", "app.entities", "app.entity_fields"} <= left(values)
    erased(BEN)
    assert left(values) == set()


def test_it_finds_a_guest_by_the_address(at_rest: Settings) -> None:
    publish_event(guest_gift())
    world.relay()
    world.apply(world.OURS.values())
    assert {"events.events", "app.gift_donors", "app.notifications"} <= left(address=GUEST)
    erased(address=GUEST)
    assert left(address=GUEST) == set()


def test_it_finds_what_comes_later_and_what_was_put_elsewhere(at_rest: Settings) -> None:
    erased(BEN)
    publish_event(UserProfileUpdated(user_id=BEN, changes={"name": "Ben again"}))
    file = get_settings().data_dir / "log" / "worker.log"
    file.parent.mkdir(exist_ok=True)
    file.write_text("something about BEN@example.org\n")
    sql("CREATE TABLE app.praises (words text)")
    sql("INSERT INTO app.praises VALUES ('Ben@example.org said so')")
    assert left(("ben@example.org",)) == {"events.events", f"file {file}", "app.praises"}


def test_published_content_stays_and_is_not_counted(at_rest: Settings) -> None:
    story = '{"story": "Help Ben B. to dig"}'
    sql("UPDATE events.events SET payload = payload || %s::jsonb WHERE type = 'campaign.created'", story)
    erased(BEN)
    assert left(("Ben B.",)) == set()


@pytest.fixture
def engine(at_rest: Settings, peer: Peer) -> Iterator[SearchEngine]:
    """The external search engine of this platform, which has all documents."""
    with searched_by(peer) as engine:
        yield engine


def test_documents_of_the_search_engine_are_erased_and_looked_at(engine: SearchEngine) -> None:
    where = "Elasticsearch, documents of the kind user"
    values = ("Ben B.", "ben@example.org")
    assert engine.holding("user", [], ["Ben B."]) == {BEN: "Ben B."}
    assert "analytics.user_search_projection" in left(values)
    erased(BEN)
    assert left(values) == set()
    assert engine.holding("user", [BEN], []).get(BEN, "") == ""
    old = {"title": "Ben B.", "lead": "", "body": "", "place": "", "categories": [], "status": "unverified",
           "created_at": "2026-01-01T00:00:00+00:00", "popularity": 0}  # fmt: skip
    engine.write("user", [Versioned(BEN, 1_000, old), Versioned(ANN, 1_000, {**old, "title": "Friend of Ben B."})])
    assert left(values) == {where}
    assert [one.number for one in check(get_settings(), person(BEN), values)] == [2]


def people(*arguments: str, input: bytes | None = None) -> Done:
    """The command in a process of its own, which knows no processors of other tests."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("FUNDLYHUB_")}
    return fundlyhub("people", *arguments, settings=ours, input=input)


def test_the_commands(at_rest: Settings) -> None:
    held = json.loads(people("show", "ben@example.org", "--json", "--by", "Olga").stdout)
    assert held["tables"]["app.contacts"][0]["email"] == "ben@example.org"
    assert "user.profile_updated" in {event["type"] for event in held["events"]}
    assert sql("SELECT who, command FROM events.disclosures") == [("Olga", "people show")]

    would = people("erase", str(BEN), "--dry-run", "--json")
    assert json.loads(would.stdout)["events"]["user.profile_updated"] == 1
    assert people("erase", "--check", str(BEN), "--json").returncode == 1
    assert people("erase", str(BEN)).returncode == 2, "no reason"
    assert people("erase", str(BEN), "--reason", "r", input=b"n\n").returncode == 1
    done = people("erase", str(BEN), "--reason", "r", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert people("erase", "--again").returncode == 0
    nothing = people("erase", "--check", str(BEN), "--value", "Ben B.", "--json")
    assert json.loads(nothing.stdout)["left"] == []
    assert nothing.returncode == 0
