"""The example API service over real HTTP: the change and its event are one, and what is read has followed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis

from fundlyhub.demo.api import MIRROR
from fundlyhub.testing.databases import SECRET, settings_of
from tests.api_service.service import campaign, done, running, user
from tests.support.command import dsns
from tests.support.platform import Platform, wait_until


@pytest.fixture
def place(dsn: str, valkey: Any, tmp_path: Any) -> Iterator[Platform]:
    """A fresh database, and Valkey as broker; nothing runs."""
    servers = {"FUNDLYHUB_BROKER_URL": valkey.database_url(0), "FUNDLYHUB_REDIS_URL": valkey.database_url(1)}
    environment = {**dsns(dsn), **SECRET, **servers, "FUNDLYHUB_DATA_DIR": str(tmp_path), "FUNDLYHUB_PROCESSORS": ""}
    environment["FUNDLYHUB_MIRROR"] = MIRROR
    with settings_of(environment), Platform(environment, dsn, valkey, tmp_path) as platform:
        yield platform


@pytest.fixture
def api(place: Platform) -> Iterator[httpx.Client]:
    """The service, alone: what it writes can be looked at."""
    with running(place) as client:
        yield client


def events(place: Platform, type_: str) -> int:
    """How many events of a type are in the log."""
    return int(place.value("SELECT count(*) FROM events.events WHERE type = %s", type_))


@pytest.mark.timeout(900)
def test_what_is_written_comes_back_as_numbers_feed_and_search(place: Platform, api: httpx.Client) -> None:
    place.relay()
    place.worker("writes,projections,notifications,broadcasts")
    ada, ben = user(api, "Ada"), user(api, "Ben")
    opened = campaign(api, ada)
    done(api.put(f"/users/{ben}/follows/campaign/{opened}"))
    gift = done(api.post("/donations", json={"campaign_id": opened, "donor_id": ben, "amount": "25.50"}))
    done(api.post("/donations", json={"campaign_id": opened, "amount": "100"}))
    for returned in ("5", "5.50"):  # two parts of one gift
        done(api.post("/refunds", json={"donation_id": gift["id"], "amount": returned, "initiated_by": ben}))

    def stats() -> Any:
        return done(api.get(f"/campaigns/{opened}"))["stats"]

    wait_until(lambda: stats() and stats()[0]["total_raised"] == "115.00", what="the numbers")
    (row,) = stats()
    assert (row["currency"], row["donation_count"], row["unique_donors"], row["refund_count"]) == ("USD", 2, 1, 2)
    gave = "Ben gave 25.50 USD to Rebuild the Orchestra"

    def texts(path: str) -> list[str]:
        return [line["text"] for line in api.get(path).json()]

    wait_until(lambda: gave in texts(f"/campaigns/{opened}/feed"), what="the campaign's feed")
    wait_until(
        lambda: "Someone gave 100.00 USD to Rebuild the Orchestra" in texts(f"/users/{ben}/feed"), what="the feed"
    )
    wait_until(lambda: done(api.get("/search", params={"q": "rebild"}))["total"] == 1, what="the search")
    done(api.delete(f"/users/{ben}/follows/campaign/{opened}"))
    wait_until(lambda: texts(f"/users/{ben}/feed") == [], what="a feed of nobody")
    outbox = place.folder / "outbox" / "email"
    wait_until(lambda: outbox.exists() and len(list(outbox.iterdir())) >= 3, what="welcome to two, and a receipt")


@pytest.mark.timeout(900)
def test_who_prefers_to_wait_reads_the_new_total_in_the_answer(place: Platform, api: httpx.Client) -> None:
    opened = campaign(api, user(api, "Ada"))

    def give(amount: str, wait: str) -> Any:
        body = {"campaign_id": opened, "amount": amount}
        return done(api.post("/donations", json=body, headers={"Prefer": f"wait={wait}"}))["stats"]

    assert give("1", "1") is None, "no relay runs: the gift is committed, and its total comes later"
    place.relay()
    place.worker("projections")
    wait_until(lambda: (give("1", "10") or [{}])[0].get("currency") == "USD", what="a first answer")
    before = done(api.get(f"/campaigns/{opened}"))["stats"][0]["donation_count"]
    (row,) = give("100", "10")
    assert (row["largest_donation"], row["donation_count"]) == ("100", before + 1)
    refused = api.post("/donations", json={"campaign_id": opened, "amount": "1"}, headers={"Prefer": "wait=long"})
    assert refused.status_code == 422


CHANNEL = "events:donation.completed"
IN_TIME = 12
"""Seconds that news may take on a busy machine; without the mirror they would take more, see SILENCE in live.py."""


@pytest.mark.timeout(900)
def test_the_numbers_move_by_server_sent_events(place: Platform, api: httpx.Client) -> None:
    place.relay()
    place.worker("projections")
    opened = campaign(api, user(api, "Ada"))
    told: list[Any] = []

    def listen() -> None:
        with api.stream("GET", f"/campaigns/{opened}/live") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                if totals() == ["10", "35", "30"]:
                    return

    def totals() -> list[str]:
        return [rows[0]["total_raised"] for rows in told if rows]

    listener = threading.Thread(target=listen)
    listener.start()
    wait_until(lambda: told == [[]], what="the numbers at once, which are none")
    gift = done(api.post("/donations", json={"campaign_id": opened, "amount": "10"}))
    wait_until(lambda: totals() == ["10"], timeout=IN_TIME, what="the first gift")
    mirror: redis.Redis = redis.Redis.from_url(place.environment["FUNDLYHUB_REDIS_URL"])
    with mirror, psycopg.connect(place.dsn) as db:
        before = mirror.xlen(CHANNEL)
        db.execute("LOCK analytics.campaign_stats_projection IN SHARE MODE")  # the projection is slower than the mirror
        done(api.post("/donations", json={"campaign_id": opened, "amount": "25"}))
        wait_until(lambda: mirror.xlen(CHANNEL) > before, what="the mirror")
    wait_until(lambda: totals() == ["10", "35"], timeout=IN_TIME, what="the second one, once it is applied")
    body = {"donation_id": gift["id"], "amount": "5", "initiated_by": str(uuid4())}
    done(api.post("/refunds", json=body))
    listener.join(IN_TIME)
    assert totals() == ["10", "35", "30"]
    assert api.get(f"/campaigns/{uuid4()}/live").status_code == 404


def test_an_event_that_is_refused_takes_the_change_with_it(place: Platform, api: httpx.Client) -> None:
    opened = campaign(api, user(api, "Ada"))
    answer = api.post("/donations", json={"campaign_id": opened, "amount": "10.001"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "amount must have at most 2 decimals in USD")
    answer = api.post("/users", json={"name": "Eve", "email": "nobody-s3cret"})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text
    assert place.value("SELECT count(*) FROM api.donations") == 0
    assert place.value("SELECT count(*) FROM api.users") == 1
    assert events(place, "donation.completed") == 0
    assert events(place, "user.registered") == 1


def test_a_change_that_fails_takes_its_event_with_it(place: Platform, api: httpx.Client) -> None:
    opened = campaign(api, ada := user(api, "Ada"))
    gift = done(api.post("/donations", json={"campaign_id": opened, "amount": "10"}))["id"]
    body = {"donation_id": gift, "amount": "6", "initiated_by": ada}
    assert api.post("/refunds", json=body).status_code == 201
    assert api.post("/refunds", json=body).status_code == 409
    assert place.value("SELECT refunded FROM api.donations") == 6
    assert events(place, "donation.refunded") == 1


def test_a_gift_that_is_sent_again_is_one(place: Platform, api: httpx.Client) -> None:
    opened, key = campaign(api, user(api, "Ada")), {"Idempotency-Key": str(uuid4())}

    def give(amount: str = "10") -> httpx.Response:
        return api.post("/donations", json={"campaign_id": opened, "amount": amount}, headers=key)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: give(), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}, "409 is for who came at the same moment"
    assert give().json()["id"] == key["Idempotency-Key"]
    assert give("11").status_code == 409
    assert place.value("SELECT count(*) FROM api.donations") == 1
    assert events(place, "donation.completed") == 1


def test_to_follow_twice_is_to_follow(place: Platform, api: httpx.Client) -> None:
    ada, ben = user(api, "Ada"), user(api, "Ben")
    answers = [done(api.put(f"/users/{ada}/follows/user/{ben}")) for _ in range(2)]
    assert answers[0] == answers[1]
    assert api.delete(f"/users/{ada}/follows/user/{ben}").status_code == 200
    assert api.delete(f"/users/{ada}/follows/user/{ben}").status_code == 404
    assert (events(place, "user.followed_user"), events(place, "user.unfollowed_user")) == (1, 1)
    assert api.put(f"/users/{ada}/follows/user/{uuid4()}").status_code == 404
    assert api.put(f"/users/{ada}/follows/user/{ada}").status_code == 422, "nobody follows himself"
    assert place.value("SELECT count(*) FROM api.follows") == 0


def test_a_callers_correlation_id_goes_with_the_event(place: Platform, api: httpx.Client) -> None:
    name = str(uuid4())
    done(api.post("/users", json={"name": "A", "email": "a@example.org"}, headers={"X-Correlation-Id": name}))
    assert str(place.value("SELECT correlation_id FROM events.events")) == name


def test_the_page_is_whole_and_asks_nobody_else(api: httpx.Client) -> None:
    page = api.get("/")
    assert "default-src 'self'" in page.text
    parts = re.findall(r'(?:src|href)="([^"/:]+)"', page.text)
    assert sorted(parts) == ["page.css", "page.js"]
    for text in (page.text, *(api.get(part).raise_for_status().text for part in parts)):
        assert not re.search(r"https?://", text)
    assert api.get("/openapi.json").status_code == 200
    assert api.get("/search", params={"kind": "x"}).status_code == 422
