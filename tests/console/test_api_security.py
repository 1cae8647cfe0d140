"""What an attacker tries at the API: no token, one that is over, a cookie, too low a level, and bad values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
import redis

from fundlyhub.console import tokens, users
from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.bearers import FAILURES
from fundlyhub.console.api.routing import PREFIX, Route
from fundlyhub.console.levels import LEVELS, allows
from fundlyhub.console.pages import PAGES
from fundlyhub.database import get_engine
from fundlyhub.embedded.valkey import Valkey
from tests.console.callers import caller, new_token, path_of, send
from tests.console.site import PASSWORD, Site

TABLE = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES]


@pytest.fixture(autouse=True)
def no_failures_before(valkey: Valkey) -> None:
    """Requests without a good token are counted by the minute, and other tests have made some."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


@pytest.fixture(scope="module")
def refused(site: Site) -> dict[str, str]:
    """Tokens that are not good any more, by what is wrong with them."""
    found = {"expired": new_token("privacy"), "disabled": new_token("privacy")}
    with get_engine("events").begin() as db:
        for user in ("away", "back"):
            users.add(db, user, "privacy", None, who="test")
        hashed = tokens.hashed(found["expired"])
        db.exec_driver_sql("UPDATE events.console_tokens SET until = now() WHERE token = %s", (hashed,))
        known = tokens.find(db, found["disabled"])
        assert known is not None
        tokens.disable(db, known.token, who="test")
    found |= {"of a disabled user": new_token("away"), "of a user who was disabled": new_token("back")}
    with get_engine("events").begin() as db:
        users.disable(db, "away", who="test")
        users.disable(db, "back", who="test")
        users.enable(db, "back", who="test")
    return found


def is_refused(answer: httpx.Response, status: int) -> bool:
    """Whether it is problem details of this status."""
    if answer.headers["content-type"] != "application/problem+json":
        return False
    return (answer.status_code, answer.json()["status"]) == (status, status)


@pytest.mark.parametrize("route", TABLE)
def test_without_a_good_token_no_route_answers(site: Site, route: Route, refused: dict[str, str]) -> None:
    nobody, signed_in = site.anonymous(), site.visitor("privacy")
    good = new_token("privacy")
    wrong = (
        None, "", "Bearer", f"Basic {good}", f"Token {good}", good, f"Bearer {good[:-1]}",
        f"Bearer {good}x", f"Bearer {good.upper()}", "Bearer ' OR true --", "Bearer fundlyhub_" + "x" * 43,
        *(f"Bearer {token}" for token in refused.values()),
    )  # fmt: skip
    for header in wrong:
        answer = send(nobody, route, headers={} if header is None else {"Authorization": header})
        assert is_refused(answer, 401), header
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert is_refused(send(signed_in.client, route), 401), "a cookie does not count"


@pytest.mark.parametrize("route", TABLE)
def test_each_level_may_what_it_may_and_no_more(site: Site, route: Route) -> None:
    for level in LEVELS:
        answer = send(caller(site, level).client, route)
        if allows(level, route.needs):
            assert answer.status_code not in (401, 403, 405, 500, 503), answer.text
        else:
            assert is_refused(answer, 403)


@pytest.mark.parametrize("route", TABLE)
def test_each_route_refuses_what_it_does_not_know(site: Site, route: Route) -> None:
    client = caller(site, "privacy").client
    assert is_refused(client.request(route.method, f"{path_of(route)}?nothing=1"), 400)
    if route.method == "POST":
        for body, kind, status in (
            (b'{"nothing": 1}', "application/json", (400, 422)), (b"[]", "application/json", (400, 422)),
            (b'{"reason": "x"}', "text/plain", (415,)), (b'{"reason"', "application/json", (400,)),
            (b'{"reason": "a", "reason": "b"}', "application/json", (400,)),
            (b"[" * 100_000, "application/json", (400,)), (b" " * 1_000_001, "application/json", (413,)),
            (b'{"reason": NaN}', "application/json", (400,)), (b"\xff", "application/json", (400,)),
        ):  # fmt: skip
            answer = client.post(path_of(route), content=body, headers={"Content-Type": kind})
            assert answer.status_code in status, (body[:40], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
        assert has_twin(route) or is_refused(client.get(path_of(route)), 405)


def has_twin(route: Route) -> bool:
    """Whether a GET of this path reaches another route."""
    others = [re.sub(r"\{\w+\}", "[^/]+", one.path) for one in ROUTES if one.method == "GET"]
    return any(re.fullmatch(other, route.path) for other in others)


@pytest.mark.parametrize("value", ["%00", "-1", "1e3", "٣", "1_0", "%20", "9" * 19, "..%2f..", "<script>", "' OR 1=1"])
def test_hostile_values_of_paths_and_parameters(site: Site, value: str) -> None:
    client = caller(site, "privacy").client
    for route in ROUTES:
        for name in route.in_path:
            path = f"{PREFIX}{route.path}".replace(f"{{{name}}}", value)
            answer = client.request(route.method, re.sub(r"\{\w+\}", "1", path), json={})
            assert answer.status_code in (400, 404, 405, 422), path
            assert "<script>" not in answer.text
        for name in set(route.params.model_fields) - set(route.in_path):
            answer = client.request(route.method, f"{path_of(route)}?{name}={value}", json={})
            assert answer.status_code in (200, 400, 404, 422), (route.path, name)


def test_no_bearer_opens_a_page(site: Site) -> None:
    client = caller(site, "privacy").client
    for page in PAGES:
        path = re.sub(r"\{\w+\}", "1", page.path)
        answer = client.request(page.method, path, data={"csrf": "0" * 64} if page.method == "POST" else None)
        assert answer.status_code in (303, 401), path
        assert answer.headers.get("location", "/sign-in") == "/sign-in"


def test_tokens_are_not_guessed_by_trying_and_a_good_one_still_counts(site: Site) -> None:
    thief, good = site.anonymous(), caller(site, "viewer")
    answers: list[int] = []
    while 429 not in answers and len(answers) < 3 * FAILURES:  # counted by the minute, and the next may begin meanwhile
        guess = {"Authorization": f"Bearer {uuid4()}"}
        answers.append(thief.get(f"{PREFIX}/overview", headers=guess).status_code)
    assert answers[-1] == 429
    assert set(answers[:-1]) == {401}
    assert FAILURES <= len(answers) - 1 <= 2 * FAILURES
    late = thief.get(f"{PREFIX}/overview")
    assert is_refused(late, 429)
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert good.get("/overview").status_code == 200


def test_what_is_not_there_is_a_problem_and_no_page(site: Site) -> None:
    client = caller(site, "privacy").client
    for path in ("/api/", "/api/v1", "/api/v1/nothing", "/api/v2/overview", "/api/v1/overview/", "/api/v1/../../etc"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "location" not in answer.headers
    wrong = client.request("DELETE", f"{PREFIX}/letters/1")
    assert (is_refused(wrong, 405), "GET" in wrong.headers["allow"]) == (True, True)
    answer = client.get(f"{PREFIX}/overview")
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture
def user() -> Iterator[str]:
    """A user of a test's own."""
    name = f"u-{uuid4().hex[:12]}"
    with get_engine("events").begin() as db:
        users.add(db, name, "operator", PASSWORD, who="test")
    yield name
    with get_engine("events").begin() as db:
        db.exec_driver_sql("DELETE FROM events.console_users WHERE name = %s", (name,))


def test_a_token_may_no_more_than_its_user_from_the_next_request_on(site: Site, user: str) -> None:
    client = site.anonymous()
    client.headers["Authorization"] = f"Bearer {new_token(user)}"
    assert client.get(f"{PREFIX}/settings").status_code == 200
    with get_engine("events").begin() as db:
        users.set_level(db, user, "viewer", who="test")
    assert client.get(f"{PREFIX}/settings").status_code == 403
    with get_engine("events").begin() as db:
        users.set_level(db, user, "privacy", who="test")
    assert client.get(f"{PREFIX}/settings").status_code == 200
    reveal = client.post(f"{PREFIX}/events/1/payload", json={"reason": "x"})
    assert is_refused(reveal, 403), "it stays what it was made as"
    with get_engine("events").begin() as db:
        users.set_password(db, user, "another password", who="test")
    assert client.get(f"{PREFIX}/settings").status_code == 200, "a changed password ends sessions, and no tokens"
    with get_engine("events").begin() as db:
        users.disable(db, user, who="test")
    assert is_refused(client.get(f"{PREFIX}/settings"), 401)


def test_the_tables_and_the_log_keep_no_token(site: Site) -> None:
    given = caller(site, "privacy")
    assert given.get("/overview").status_code == 200
    assert given.get("/letters", state="nothing").status_code == 400
    with get_engine("events").connect() as db:
        for table in ("console_tokens", "console_audit"):
            assert given.token not in str(db.exec_driver_sql(f"SELECT * FROM events.{table}").all())
    assert given.token not in site.process.log.read_text()
