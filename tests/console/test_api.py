"""The API answers what pages show and does what they do, in the name of its token's user."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from fundlyhub import publish_event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.database.disclosed import disclosures
from fundlyhub.processing import dead_letters, pauses
from tests.console.callers import caller
from tests.console.site import Site
from tests.console.test_streams_audit_settings import HELD
from tests.dead_letters.letters import dead
from tests.support.make import search
from tests.support.platform import wait_until

WHY = {"reason": "a donor asks"}


def looked() -> tuple[str, str]:
    """Who was shown something last, and what."""
    with get_engine("events").connect() as db:
        (line,) = disclosures(db, limit=1)
    return line.who, line.what


def test_the_overview_says_what_is_wrong_and_all_numbers(site: Site) -> None:
    said = caller(site, "viewer").get("/overview").json()
    assert "No relay leads" in " ".join(one["sentence"] for one in said["troubles"])
    (head,) = said["numbers"]["fundlyhub_log_head_position"]
    assert head["labels"] == []
    assert said["missing"].keys() == {"broker"} or not said["missing"]


def test_a_processor_is_paused_until_a_time_and_resumed(site: Site) -> None:
    given = caller(site, "operator")
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    path = "/processors/activity_feed"
    assert given.post(f"{path}/pause", {"reason": "deploy", "until": until}).json()["paused"] is True
    standing = given.get(path).json()
    assert (standing["state"], standing["who"], standing["reason"]) == ("paused by hand", given.who, "deploy")
    assert [one["state"] for one in given.get("/processors").json()].count("paused by hand") == 1
    assert given.post(f"{path}/resume", {"reason": "done"}).json() == {"name": "activity_feed", "resumed": True}
    assert given.post(f"{path}/resume", {"reason": "done"}).json()["resumed"] is False, "safe to repeat"
    for until in ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00", "soon"):
        assert given.post(f"{path}/pause", {"reason": "x", "until": until}).status_code in (400, 422)
    assert given.post("/processors/nobody/pause", {"reason": "x"}).status_code == 404
    with get_engine("events").connect() as db:
        assert [one.who for one in pauses.history(db, "activity_feed", limit=9)] == [given.who, given.who]


def test_events_are_paged_without_gap_and_a_payload_is_shown_against_a_reason(site: Site) -> None:
    sent = [event.position for event in publish_events(search(str(number)) for number in range(7))]
    given = caller(site, "viewer")
    answer = given.get("/events", type="search.**", limit="3").json()
    found = answer["items"]
    while answer["next"] is not None:
        answer = given.get("/events", type="search.**", limit="3", page=answer["next"]).json()
        found += answer["items"]
    assert [one["position"] for one in found][:7] == sent[::-1]
    event = publish_event(search("<b>secret</b> 1.10"), correlation_id=uuid4())
    story = given.get(f"/events/{event.position}")
    assert "secret" not in story.text
    assert story.json()["event"]["id"] == str(event.id)
    assert given.get("/events/search", id=str(event.id)[:30]).json()["events"][0]["position"] == event.position
    assert given.get("/events/search", id=str(event.correlation_id)).json()["list"] == {
        "correlation": str(event.correlation_id)
    }
    privacy = caller(site, "privacy")
    assert privacy.post(f"/events/{event.position}/payload", {}).status_code == 422
    assert privacy.post(f"/events/{event.position}/payload", {"reason": " \n"}).status_code == 400
    shown = privacy.post(f"/events/{event.position}/payload", WHY).json()
    assert shown["payload"]["query"] == "<b>secret</b> 1.10"
    assert looked() == (privacy.who, f"event {event.id}: a donor asks")


def test_control_signs_in_texts_steer_no_terminal(site: Site) -> None:
    event = publish_event(search("red \x1b[31m \u202e"))
    text = caller(site, "privacy").post(f"/events/{event.position}/payload", WHY).text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert json.loads(text)["payload"]["query"] == "red \x1b[31m \u202e"


def test_a_letter_is_found_by_its_fault_shown_corrected_and_undone(site: Site) -> None:
    (id,) = dead("wrogn")
    viewer, given = caller(site, "viewer"), caller(site, "privacy")
    groups = viewer.get("/letters/groups", processor="test_count").json()
    (fault,) = groups["groups"]
    listed = viewer.get("/letters", fingerprint=fault["fingerprint"][:9]).json()
    assert (listed["items"][0]["id"], listed["next"], groups["is_all"]) == (id, None, True)
    path = f"/letters/{id}"
    seen = viewer.get(path).json()
    assert (seen["traceback"], "payload" in seen, seen["corrected"]) == (None, False, False)
    assert "handle_batch" in given.get(path).json()["traceback"]
    assert given.post(f"{path}/payload", WHY).json()["payload"] == {"query": "wrogn"}
    assert looked() == (given.who, f"dead letter {id}: a donor asks")

    right = {"payload": {"query": "wrong"}, "reason": "a typo", "as_of": seen["changed_at"]}
    wrong = given.post(f"{path}/correction", {**right, "payload": {"query": 7}})
    assert wrong.status_code == 422
    assert "payload.query" in wrong.json()["errors"][0]["detail"]
    assert given.post(f"{path}/correction", {**right, "dry_run": True}).json()["changed"] == ["query"]
    assert not given.get(path).json()["corrected"], "a dry run keeps nothing"
    assert given.post(f"{path}/correction", right).json()["changed"] == ["query"]
    assert given.post(f"{path}/correction", right).status_code == 409, "it was changed since"
    assert given.get(path).json()["timeline"][-1]["who"] == given.who
    assert given.post(f"{path}/undo", {"reason": "it was right"}).json() == {"id": id, "undone": True}
    assert not given.get(path).json()["corrected"]


def test_a_fixed_set_is_chosen_discarded_and_restored(site: Site) -> None:
    ids = dead("a", "b", "c")
    given = caller(site, "operator")
    chosen = given.get("/letters/choice", processor="test_count").json()
    assert set(ids) <= set(chosen["ids"])
    assert given.get("/letters/choice").status_code == 400, "all letters are chosen by nobody by accident"
    decision = {"ids": [*ids, 10**17], "reason": "old"}
    done = given.post("/letters/discard", decision).json()
    assert done == {"changed": ids, "unchanged": [{"id": 10**17, "state": "unknown"}]}
    assert given.post("/letters/discard", decision).json()["changed"] == [], "safe to repeat"
    assert given.post("/letters/restore", decision).json()["changed"] == ids
    for wrong in ([], ["1"], [True], [-1], [1.0], list(range(10_001)), "1"):
        assert given.post("/letters/discard", {"ids": wrong, "reason": "x"}).status_code == 422


def test_a_replay_is_begun_followed_and_stopped(site: Site) -> None:
    """No worker is there, so that the first wave stays under way: only a stop ends it before its two minutes."""
    ids = dead("e", "f", "g")
    with connect("events", autocommit=True) as db:
        db.execute("UPDATE events.dead_letters SET processor = 'campaign_stats' WHERE id = ANY (%s)", (ids,))
    given = caller(site, "operator")
    chosen = given.get("/letters/choice", processor="campaign_stats").json()
    assert (chosen["ids"], chosen["would_replay"]) == (ids, ids)
    begun = given.post("/letters/replays", {"ids": ids, "reason": "mended"})
    run = begun.json()
    path = f"/letters/replays/{run['key']}"
    assert (begun.status_code, begun.headers["location"]) == (202, f"/api/v1{path}")
    wait_until(lambda: given.get(path).json()["counts"].get("pending") == 1, what="the first letter under way")
    assert given.post(f"{path}/stop").status_code == 200
    wait_until(lambda: given.get(path).json()["is_over"], what="the end")
    assert given.get(path).json()["counts"]["left"] == 2
    assert given.get("/letters/replays").json()[0]["key"] == run["key"]
    with get_engine("events").begin() as db:
        assert dead_letters.show(db, ids[0]).timeline[-1].who == given.who


def test_a_breaker_is_opened_and_closed_with_a_reason(site: Site) -> None:
    given = caller(site, "operator")
    assert given.post("/breakers/smtp/open", {"reason": "a wrong text"}).json()["breaker"]["state"] == "open by hand"
    known = {one["service"]: one for one in given.get("/breakers").json()}
    assert (known["smtp"]["who"], known["smtp"]["reason"]) == (given.who, "a wrong text")
    assert given.post("/breakers/smtp/close", {"reason": "mended"}).json()["changed"] is True
    assert given.post("/breakers/smtp/close", {"reason": "mended"}).json()["changed"] is False
    assert given.get("/breakers/smtp").json()["history"][0]["to"] == "closed"
    assert given.get("/breakers/nobody").status_code == 404


def test_quarantine_is_paged_shown_against_a_reason_and_decided_on(site: Site) -> None:
    with get_engine("events").begin() as db:
        ids = list(db.exec_driver_sql(HELD, {"x": "ada@example.org"}).scalars())
    given = caller(site, "privacy")
    first = given.get("/quarantine", limit="40").json()
    second = given.get("/quarantine", limit="40", page=first["next"]).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
    assert given.get("/streams").json()["quarantine"]["open"] == 60
    path = f"/quarantine/{ids[0]}"
    assert "ada@example.org" not in given.get(path).text
    assert given.post(f"{path}/fields", WHY).json()["fields"] == [["payload", "ada@example.org"]]
    assert looked() == (given.who, f"entry {ids[0]} in quarantine: a donor asks")
    assert given.post(f"{path}/release", {"reason": "mended"}).json()["unchanged"][0]["id"] == ids[0]
    assert given.post(f"{path}/discard", {"reason": "a test"}).json()["changed"] == [ids[0]]
    lines = given.get("/audit", kind="quarantine", who=given.who).json()["items"]
    assert [one["action"] for one in lines] == ["discarded", "refused"]
    assert given.get(f"/quarantine/{10**17}").status_code == 404


def test_settings_are_shown_without_secrets(site: Site) -> None:
    said = caller(site, "operator").get("/settings").json()
    dsn = next(one for one in said if one["variable"] == "FUNDLYHUB_EVENTS_DSN")
    assert "password" not in dsn["value"]


@pytest.mark.parametrize("path", ["/messages", "/messages/reports", "/letters", "/quarantine?state=released", "/audit"])
def test_a_list_is_json_where_nothing_is_found(site: Site, path: str) -> None:
    given = caller(site, "viewer")
    name, _, query = path.partition("?")
    assert given.get(name, **dict([query.split("=")] if query else [])).status_code == 200
