"""`fundlyhub feed` and `fundlyhub search`, as people and programs use them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import Payload, UserFollowedUser, UserRegistered, publish_event, publish_events
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections import SearchIndexProcessor
from fundlyhub.processors.writes import ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor
from fundlyhub.settings import Settings
from tests.support.command import Done, dsns, environment, fundlyhub
from tests.support.make import campaign

ME, JOHN, WELLS = UUID(int=1), UUID(int=2), UUID(int=11)
PROCESSORS = (SearchIndexProcessor, ActivityFeedProcessor, ReferenceWriteProcessor, SubscriptionWriteProcessor)


@pytest.fixture
def told(dsn: str, settings: Settings) -> dict[str, str]:
    """A platform on which John, whom I follow, has opened two campaigns; the environment that finds it."""
    payloads: Sequence[Payload] = [
        UserRegistered(user_id=JOHN, email="john@example.org", name="John", registration_method="email"),
        UserFollowedUser(follower_id=ME, followed_user_id=JOHN),
        campaign(WELLS, user_id=JOHN, title="Wells [bold] & <b>more</b>", summary="Water for all"),
        campaign(UUID(int=12), user_id=JOHN, title="Roofs", status="ended"),
    ]
    published = publish_events(payloads)
    for processor in PROCESSORS:
        execute(processor, [e.position or 0 for e in published if e.type in processor.patterns()])
    return dsns(dsn)


def document(done: Done) -> Any:
    """What a command printed as JSON, and nothing else."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_feed_for_people(told: dict[str, str]) -> None:
    done = fundlyhub("feed", str(ME), settings=told)
    assert done.returncode == 0, done.stderr
    assert "Home feed" in done.stdout
    assert done.stdout.index("John started Roofs") < done.stdout.index("John started Wells [bold] & <b>more</b>")


@pytest.mark.chaos  # for its length
def test_a_terminal_that_lacks_a_letter_shows_its_escape(told: dict[str, str]) -> None:
    event = publish_event(campaign(user_id=JOHN, title="Brunnen für Łódź"))
    for processor in PROCESSORS[1:3]:
        execute(processor, [event.position or 0])
    latin = {**told, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "fundlyhub", "feed", str(ME)], env=environment(latin), stdin=subprocess.DEVNULL,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert b"Brunnen f\xfcr \\u0141\xf3d\\u017a" in done.stdout


def test_a_feed_goes_on_where_its_page_ended(told: dict[str, str]) -> None:
    first = document(fundlyhub("feed", str(ME), "--limit", "1", "--json", settings=told))
    rest = document(fundlyhub("feed", str(ME), "--before", first["next"], "--json", settings=told))
    assert [line["text"] for line in first["lines"] + rest["lines"]] == [
        "John started Roofs",
        "John started Wells [bold] & <b>more</b>",
    ]
    assert first["lines"][0]["actor"] == {"kind": "user", "id": str(JOHN), "name": "John"}
    assert rest["next"] is None


def test_a_profile(told: dict[str, str]) -> None:
    found = document(fundlyhub("feed", str(WELLS), "--profile", "campaign", "--json", settings=told))
    assert [line["type"] for line in found["lines"]] == ["campaign_created"]


def test_an_empty_feed_says_so(told: dict[str, str]) -> None:
    assert "nothing yet" in fundlyhub("feed", str(UUID(int=99)), settings=told).stdout


def test_a_search_for_people(told: dict[str, str]) -> None:
    done = fundlyhub("search", "watter", settings=told)
    assert "Found: 0" in done.stdout
    done = fundlyhub("search", "welss", settings=told)
    assert "Found: 1" in done.stdout
    assert str(WELLS) in done.stdout.replace("\n", "")
    assert "statuses: active 1" in done.stdout
    assert done.stderr == ""


def test_a_search_for_programs(told: dict[str, str]) -> None:
    found = document(fundlyhub("search", "well", "--json", settings=told))
    assert (found["total"], found["exact"], found["statuses"]) == (1, True, {"active": 1})
    (hit,) = found["hits"]
    assert hit["title_html"] == "<mark>Wells</mark> [bold] &amp; more"
    assert document(fundlyhub("search", "", "--status", "ended", "--json", settings=told))["total"] == 1
    assert document(fundlyhub("search", "joh", "--kind", "user", "--json", settings=told))["total"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("feed", "john"), "'john' is not a valid UUID"),
        (("feed", str(ME), "--before", "x"), "before: is no mark of a page"),
        (("feed", str(ME), "--limit", "0"), "0 is not in the range"),
        (("search", "x", "--page", "26"), "page: must be from 1 to 25"),
        (("search", "x", "--kind", "thing"), "'thing' is not one of"),
        (("search",), "Missing argument 'QUERY'"),
    ],
)
def test_wrong_use_is_told_in_one_line(told: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    done = fundlyhub(*arguments, settings=told)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
