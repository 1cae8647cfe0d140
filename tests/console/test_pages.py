"""The pages show what is there, and do what they say; each action is the library's, and is in its history."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

import pytest

from fundlyhub.database import get_engine
from fundlyhub.monitoring.troubles import troubles
from fundlyhub.processing import pauses
from tests.console.site import Site
from tests.support.platform import wait_until


def test_a_processor_is_paused_and_resumed_under_the_visitors_name(site: Site) -> None:
    visitor = site.visitor("operator")
    path = "/processors/activity_feed"
    paused = visitor.post(f"{path}/pause", {"reason": "<b>looking</b>\x1b[31m", "until": "1h"})
    assert paused.status_code == 400, "a reason is one printable line"
    paused = visitor.post(f"{path}/pause", {"reason": "<b>looking</b>", "until": "1h"})
    assert (paused.status_code, paused.headers["location"]) == (303, path)
    with get_engine("events").connect() as db:
        pause = pauses.paused(db)["activity_feed"]
        assert (pause.who, pause.reason, pause.kind) == ("operator", "<b>looking</b>", "by hand")
    page = visitor.get(path).text
    assert "&lt;b&gt;looking&lt;/b&gt;" in page
    assert "activity_feed is paused." in page, "what was done is said"
    assert "activity_feed is paused." not in visitor.get(path).text, "and said once"
    assert visitor.post(f"{path}/resume", {"reason": "done"}).status_code == 303
    with get_engine("events").connect() as db:
        assert "activity_feed" not in pauses.paused(db)
        assert [entry.who for entry in pauses.history(db, "activity_feed", limit=9)] == ["operator", "operator"]


@pytest.mark.parametrize(("name", "until", "status"), [("nobody", "1h", 404), ("activity_feed", "soon", 400)])
def test_what_is_not_there_is_not_paused(site: Site, name: str, until: str, status: int) -> None:
    visitor = site.visitor("operator")
    assert visitor.post(f"/processors/{name}/pause", {"reason": "x", "until": until}).status_code == status


def test_the_overview_says_what_is_wrong_and_where_it_is_mended(site: Site) -> None:
    page = site.visitor("viewer").get("/").text
    assert "No relay leads, so no event reaches a queue: start `fundlyhub relay`." in page
    assert "No worker consumes the queue writes." in page


def test_troubles_are_sentences_and_urgent_ones_come_first() -> None:
    numbers: dict[str, dict[tuple[str, ...], float]] = {
        "fundlyhub_relay_leaders": {(): 1.0},
        "fundlyhub_dead_letters_open": {("feed", "a.b"): 2.0, ("feed", "a.c"): 1.0},
        "fundlyhub_events_waiting_seconds": {("feed",): 90.0, ("held",): 90.0},
        "fundlyhub_events_waiting": {("feed",): 1234.0, ("held",): 1.0},
        "fundlyhub_processor_paused": {("held", "by hand"): 1.0, ("held", "burst"): 0.0},
        "fundlyhub_breaker_state": {("smtp", "open"): 1.0, ("fcm", "closed"): 1.0},
    }
    assert [one.sentence for one in troubles(numbers, {"queues": "no answer within 3 s"})] == [
        "queues does not answer: no answer within 3 s",
        "1,234 events wait for feed, the oldest for 90 s.",
        "smtp is not called: its circuit breaker is open.",
        "held is paused by hand.",
        "3 dead letters of feed wait for a decision.",
    ]


def test_vendored_files_are_those_that_were_looked_at() -> None:
    static = files("fundlyhub.console") / "static"
    listed = dict(line.split()[::-1] for line in (static / "DIGESTS").read_text().splitlines())
    assert listed == {name: sha256((static / name).read_bytes()).hexdigest() for name in listed}
    assert {"htmx.min.js"} <= set(listed)
    for name in listed:
        assert (static / f"{name.partition('.')[0]}.LICENSE").read_text()


def test_what_is_put_off_is_told_apart_from_what_is_late_and_what_failed(site: Site) -> None:
    with get_engine("events").begin() as db:
        db.exec_driver_sql(
            "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class) "
            "SELECT 'email_notification', 900000 + n, 0, now(), now() + interval '1 hour', 'Snooze' "
            "FROM generate_series(1, 3) AS n"
        )
    visitor = site.visitor("viewer")
    wait_until(lambda: "0 are retried, 3 put off" in visitor.get("/").text, what="the next numbers")
    assert "3 put off" in visitor.get("/processors").text
    assert "<dt>Put off</dt><dd>3</dd>" in visitor.get("/processors/email_notification").text
    assert "Put off" not in visitor.get("/processors/campaign_stats").text
