"""What an attacker tries: without a session, from another site, as a viewer, with a stolen or a planted cookie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from fundlyhub.console import sessions, users
from fundlyhub.console.levels import LEVELS, allows
from fundlyhub.console.pages import PAGES
from fundlyhub.console.visits import MENU, Page
from fundlyhub.database import get_engine
from fundlyhub.embedded.valkey import Valkey
from tests.console.site import PASSWORD, Site
from tests.support.platform import wait_until


@pytest.fixture(autouse=True)
def no_attempts_before(valkey: Valkey) -> None:
    """Attempts to sign in are counted by the minute, and other tests have made some."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


ROUTES = [pytest.param(page, id=f"{page.method} {page.path}") for page in PAGES]


def path_of(page: Page) -> str:
    """A path that a route matches."""
    return re.sub(r"\{[a-z_]+\}", "1", page.path)


@pytest.mark.parametrize("page", ROUTES)
def test_without_a_session_no_route_answers(site: Site, page: Page) -> None:
    nobody = site.anonymous()
    for cookie in (None, "", "x" * 43, "../../etc/passwd", "'; DROP TABLE events.console_users; --"):
        headers = {"Cookie": f"fundlyhub_session={cookie}"} if cookie is not None else {}
        if page.method == "POST":
            answer = nobody.post(path_of(page), data={"csrf": "0" * 64}, headers=headers)
            assert answer.status_code == 401
        else:
            answer = nobody.get(path_of(page), headers=headers)
            assert (answer.status_code, answer.headers.get("location")) == (303, "/sign-in")
        assert nobody.get(path_of(page), headers={**headers, "HX-Request": "true"}).status_code in (401, 405)


@pytest.mark.parametrize("page", ROUTES)
def test_each_level_may_what_it_may_and_no_more(site: Site, page: Page) -> None:
    for level in LEVELS:
        visitor = site.visitor(level)
        answer = visitor.post(path_of(page)) if page.method == "POST" else visitor.get(path_of(page))
        if allows(level, page.needs):
            assert answer.status_code not in (401, 403, 500), answer.text
        else:
            assert answer.status_code == 403


@pytest.mark.parametrize("page", [pytest.param(page, id=page.path) for page in PAGES if page.method == "POST"])
def test_no_other_site_sends_a_form_in_a_visitors_name(site: Site, page: Page) -> None:
    visitor, other = site.visitor("privacy"), site.visitor("privacy")
    path, csrf = path_of(page), visitor.csrf
    for data, origin in (
        ({"x": ""}, site.url), ({"csrf": ""}, site.url), ({"csrf": other.csrf}, site.url), ({"csrf": csrf}, "https://evil.example"),
        ({"csrf": csrf}, "null"), ({"csrf": csrf}, f"{site.url}.evil.example"),
        ({"csrf": csrf}, site.url.replace("http:", "https:")),
    ):  # fmt: skip
        assert visitor.client.post(path, data=data, headers={"Origin": origin}).status_code == 403
    del visitor.client.headers["Origin"]
    assert visitor.client.post(path, data={"csrf": csrf}).status_code == 403
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        answer = visitor.client.post(path, content=b"{}", headers={"Content-Type": kind, "Origin": site.url})
        assert answer.status_code == 415


def test_every_page_of_the_menu_is_there_and_may_not_be_framed_or_run_scripts_of_others(site: Site) -> None:
    visitor = site.visitor("viewer")
    for path, title in MENU:
        answer = visitor.get(path)
        assert (answer.status_code, f"<h1>{title}</h1>" in answer.text) == (200, True), path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?! src=\"/static/)|\son[a-z]+=|javascript:|style=", answer.text), path


def test_a_viewer_sees_no_button_that_does_nothing(site: Site) -> None:
    visitor = site.visitor("viewer")
    for path in [*(path for path, _ in MENU), "/processors/campaign_stats"]:
        forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*method="post"', visitor.get(path).text)
        assert forms == ["/sign-out"], path


def test_paths_that_lead_elsewhere_are_not_there(site: Site) -> None:
    visitor = site.visitor("privacy")
    for path in (
        "/static/x/../../../../etc/passwd", "/static/x/%2e%2e%2fusers.py", "/static/0123456789abcdef/console.css",
        "/processors/%00", "/processors/..%2f..", "/nothing", "/processors/campaign_stats/",
    ):  # fmt: skip
        answer = visitor.get(path)
        assert answer.status_code == 404, path
        assert "location" not in answer.headers


def test_signing_in_goes_to_our_first_page_whatever_the_address_asks_for(site: Site) -> None:
    client = site.anonymous()
    form = {"name": "viewer", "password": PASSWORD, "next": "https://evil.example/"}
    entered = client.post("/sign-in?next=//evil.example", data=form)
    assert entered.headers["location"] == "/"


def test_a_planted_cookie_is_replaced_when_somebody_signs_in(site: Site) -> None:
    planted = site.visitor("viewer").token
    victim = site.anonymous()
    victim.cookies.set("fundlyhub_session", planted)
    entered = victim.post("/sign-in", data={"name": "operator", "password": PASSWORD})
    assert entered.cookies["fundlyhub_session"] != planted
    assert victim.get("/", headers={"Cookie": f"fundlyhub_session={planted}"}).text.count("operator") == 0


def test_the_cookie_is_for_this_host_and_for_no_script(site: Site) -> None:
    client = site.anonymous()
    entered = client.post("/sign-in", data={"name": "viewer", "password": PASSWORD})
    cookie = entered.headers["set-cookie"].lower()
    assert ("httponly" in cookie, "samesite=lax" in cookie, "domain" in cookie) == (True, True, False)


@pytest.fixture
def somebody() -> Iterator[str]:
    """A user of this test's own."""
    with get_engine("events").begin() as db:
        users.add(db, "somebody", "operator", PASSWORD, who="test")
    yield "somebody"
    with get_engine("events").begin() as db:
        db.exec_driver_sql("DELETE FROM events.console_users WHERE name = 'somebody'")


def test_a_part_that_loads_itself_anew_stops_within_a_second_or_so(site: Site, somebody: str) -> None:
    with get_engine("events").begin() as db:
        token = sessions.begin(db, somebody, "password")
    client = site.anonymous()
    client.cookies.set("fundlyhub_session", token)
    part = {"HX-Request": "true"}
    assert client.get("/", headers=part).status_code == 200
    with get_engine("events").begin() as db:
        users.disable(db, somebody, who="test")
    wait_until(lambda: client.get("/", headers=part).status_code == 401, timeout=10, what="the end of the part")
    assert client.get("/").status_code == 303


def test_sessions_end_when_their_user_is_disabled_or_gets_another_password(site: Site, somebody: str) -> None:
    def signed_in() -> sessions.Visitor | None:
        with get_engine("events").begin() as db:
            return sessions.find(db, token)

    for change, given in ((users.disable, ()), (users.set_password, (PASSWORD,))):
        with get_engine("events").begin() as db:
            users.enable(db, somebody, who="test")
            token = sessions.begin(db, somebody, "password")
        assert signed_in() is not None
        with get_engine("events").begin() as db:
            change(db, somebody, *given, who="test")
        assert signed_in() is None


@pytest.mark.parametrize(("column", "age"), [("seen_at", sessions.IDLE), ("began_at", sessions.LONGEST)])
def test_a_session_ends_by_time(site: Site, column: str, age: object) -> None:
    visitor = site.visitor("viewer")
    with get_engine("events").begin() as db:
        db.exec_driver_sql(f"UPDATE events.console_sessions SET {column} = clock_timestamp() - %(age)s", {"age": age})
    assert visitor.get("/").headers["location"] == "/sign-in"


def test_signing_out_ends_the_session_for_whoever_copied_the_cookie(site: Site) -> None:
    visitor = site.visitor("viewer")
    token = visitor.token
    assert visitor.post("/sign-out").headers["location"] == "/sign-in"
    thief = site.anonymous()
    assert thief.get("/", headers={"Cookie": f"fundlyhub_session={token}"}).status_code == 303


def test_passwords_are_not_guessed_by_trying(site: Site, somebody: str) -> None:
    client = site.anonymous()
    answers: list[int] = []
    while 429 not in answers and len(answers) < 30:  # they are counted by the minute, and the next may begin meanwhile
        answers.append(
            client.post("/sign-in", data={"name": somebody, "password": f"guess {len(answers)}"}).status_code
        )
    assert answers[-1] == 429
    assert set(answers[:-1]) == {401}
    assert 10 <= len(answers) - 1 <= 20
    assert client.post("/sign-in", data={"name": somebody, "password": PASSWORD}).status_code == 429


def test_a_link_signs_in_once_and_opening_it_uses_nothing_up(site: Site, somebody: str) -> None:
    with get_engine("events").begin() as db:
        token = sessions.make_link(db, somebody, who="test")
    client = site.anonymous()
    assert client.get(f"/sign-in/link/{token}").status_code == 200
    assert client.get("/").headers["location"] == "/sign-in"
    assert client.post(f"/sign-in/link/{token}", data={"go": ""}).headers["location"] == "/"
    assert somebody in client.get("/").text
    late = site.anonymous()
    assert late.post(f"/sign-in/link/{token}", data={"go": ""}).status_code == 401
    assert late.post("/sign-in/link/nonsense", data={"go": ""}).status_code == 401


def test_of_many_who_use_a_link_at_once_one_is_signed_in(site: Site, somebody: str) -> None:
    with get_engine("events").begin() as db:
        token = sessions.make_link(db, somebody, who="test")

    def take(_: int) -> str | None:
        with get_engine("events").begin() as db:
            return sessions.take_link(db, token)

    with ThreadPoolExecutor(6) as threads:
        assert len([one for one in threads.map(take, range(6)) if one is not None]) == 1


def test_a_proxy_header_of_nobody_we_trust_names_nobody(site: Site) -> None:
    client = site.anonymous()
    for header in ("X-Forwarded-User", "Remote-User", "X-Remote-User"):
        assert client.get("/sign-in", headers={header: "privacy"}).status_code == 200


def test_the_tables_keep_no_password_and_no_token(site: Site) -> None:
    visitor = site.visitor("privacy")
    token = visitor.token
    with get_engine("events").connect() as db:
        for table in ("console_users", "console_sessions", "console_links", "console_audit"):
            text = str(db.exec_driver_sql(f"SELECT * FROM events.{table}").all())
            assert PASSWORD not in text
            assert token not in text
    log = site.process.log.read_text()
    assert PASSWORD not in log
    assert token not in log


def test_a_password_that_cannot_be_checked_is_not_called_wrong(site: Site) -> None:
    of_4_tib = "$argon2id$v=19$m=4294967288,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43
    with get_engine("events").begin() as db:
        users.add(db, "large", "viewer", None, who="test")
        db.exec_driver_sql("UPDATE events.console_users SET password = %s WHERE name = 'large'", (of_4_tib,))
    answer = site.anonymous().post("/sign-in", data={"name": "large", "password": PASSWORD})
    assert answer.status_code == 503
    assert "cannot be checked now" in answer.text
    assert "is wrong" not in answer.text
