"""The pages of dead letters: from a fault to its letters, an edit that is checked, and decisions about a fixed set."""

from __future__ import annotations

import html
import re

import pytest

from fundlyhub.database import connect, get_engine
from fundlyhub.database.disclosed import disclosures
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter
from tests.console.site import Site, Visitor
from tests.dead_letters.letters import dead, discard
from tests.support.platform import wait_until


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def state(id: int) -> str:
    with get_engine("events").begin() as db:
        return dead_letters.show(db, id).letter.state


def chosen(visitor: Visitor, query: str) -> str:
    page = visitor.get(f"/letters/choose?{query}")
    assert page.status_code == 200, page.text
    return page.text


def test_a_fault_leads_to_its_letters_and_one_letter_to_its_event(site: Site) -> None:
    ids = dead("<b>one</b>", "two")
    with get_engine("events").begin() as db:
        fault = dead_letters.find(db, Filter(), limit=1)[0].fingerprint
    visitor = site.visitor("viewer")
    groups = visitor.get("/letters").text
    assert f"fingerprint={fault}" in groups
    assert "a fault of ours" in groups
    listed = visitor.get(f"/letters/list?fingerprint={fault}").text
    assert all(f'href="/letters/{id}"' in listed for id in ids)
    assert re.search(r"Behind these letters wait \d+ (person|people), 0 campaigns, as their events say", listed)
    assert "/letters/choose" not in listed, "a viewer decides nothing"
    page = visitor.get(f"/letters/{ids[0]}").text
    assert "handle_batch" not in page, "a traceback may quote the event"
    assert "handle_batch" in site.visitor("operator").get(f"/letters/{ids[0]}").text
    assert "one" not in re.sub("<[^>]*>", "", page).split()
    for path in ("/letters/999999", "/letters/replays/1", "/letters/list?state=%00", "/letters/list?before=x~1"):
        assert visitor.get(path).status_code in (400, 404), path


def test_a_payload_is_checked_shown_as_a_difference_and_saved(site: Site) -> None:
    (id,) = dead("wrogn")
    visitor = site.visitor("privacy")
    assert visitor.post(f"/letters/{id}/edit", {"reason": ""}).status_code == 400
    form = visitor.post(f"/letters/{id}/edit", {"reason": "a typo"}).text
    assert "wrogn" in form
    given = {"as_of": hidden(form, "as_of"), "reason": "a typo"}
    refused = visitor.post(f"/letters/{id}/check", {**given, "payload": '{"query": 7}', "save": "yes"})
    assert refused.status_code == 422
    assert "payload.query" in refused.text
    assert visitor.post(f"/letters/{id}/check", {**given, "payload": "{", "save": "yes"}).status_code == 422
    right = {**given, "payload": '{"query": "wrong"}'}
    looked = visitor.post(f"/letters/{id}/check", right).text
    assert '<td class="wide">&#34;wrogn&#34;</td><td class="wide">&#34;wrong&#34;</td>' in looked
    with get_engine("events").begin() as db:
        assert not dead_letters.show(db, id).letter.corrected, "a check keeps nothing"
    assert visitor.post(f"/letters/{id}/check", {**right, "save": "yes"}).headers["location"] == f"/letters/{id}"
    assert visitor.post(f"/letters/{id}/check", {**right, "save": "yes"}).status_code == 409, "it was changed since"
    with get_engine("events").begin() as db:
        shown = dead_letters.show(db, id)
        assert shown.letter.corrected
        assert [(one.who, one.action) for one in shown.timeline][1:] == [("privacy", "edited")]
        assert disclosures(db, limit=1)[0].what == f"dead letter {id}, to edit it: a typo"
    assert "wrogn" in visitor.post(f"/letters/{id}/payload", {"reason": "to compare"}).text
    assert visitor.post(f"/letters/{id}/undo", {"reason": "it was right"}).status_code == 303


def test_a_set_is_fixed_before_it_is_decided_about_and_a_decision_can_be_undone(site: Site) -> None:
    first, second = dead("a", "b")
    visitor = site.visitor("operator")
    page = chosen(visitor, "processor=test_count")
    ids = hidden(page, "ids")
    late, resting = dead("c", "d")
    discard(second)
    assert {str(first), str(second)} <= set(ids.split(","))
    assert str(late) not in ids.split(",")
    assert visitor.post("/letters/discard", {"ids": ids, "reason": ""}).status_code == 400
    assert visitor.post("/letters/discard", {"ids": ids, "reason": "old"}).headers["location"] == "/letters"
    assert "1 discarded, left so." in visitor.get("/letters").text
    assert (state(first), state(second), state(late)) == ("discarded", "discarded", "open")
    ids = hidden(chosen(visitor, f"ids={first}&state=discarded"), "ids")
    assert (
        visitor.post("/letters/restore", {"ids": ids, "reason": "by mistake"}).headers["location"]
        == f"/letters/{first}"
    )
    assert state(first) == "open"
    for wrong in ("", "1;2", "1,", ",".join(map(str, range(1, 10_003))), "9" * 19):
        assert visitor.post("/letters/discard", {"ids": wrong, "reason": "x"}).status_code == 400
    assert visitor.get("/letters/choose").status_code == 400, "all letters are chosen by nobody by accident"
    assert state(resting) == "open"


def test_a_replay_runs_beside_the_request_and_is_stopped(site: Site) -> None:
    """No worker is there, so that the first wave stays under way: only a stop ends it before its two minutes."""
    ids = dead("e", "f", "g")
    with connect("events", autocommit=True) as db:
        db.execute("UPDATE events.dead_letters SET processor = 'campaign_stats' WHERE id = ANY (%s)", (ids,))
    visitor = site.visitor("operator")
    frozen = hidden(chosen(visitor, "processor=campaign_stats"), "ids")
    assert frozen == ",".join(map(str, ids))
    began = visitor.post("/letters/replay", {"ids": frozen, "reason": "mended"}).headers["location"]
    wait_until(lambda: "Under way" in visitor.get(began).text, what="the first letter under way")
    assert "Not sent" in visitor.get(began).text
    assert visitor.post(f"{began}/stop").headers["location"] == began
    wait_until(lambda: "somebody stopped it" in visitor.get(began).text, what="the end")
    assert [state(id) for id in ids] == ["replayed", "open", "open"]
    assert visitor.post("/letters/replay", {"ids": frozen, "rate": "0", "reason": "mended"}).status_code == 400
    assert site.visitor("viewer").post(f"{began}/stop").status_code == 403


@pytest.mark.parametrize("path", ["/letters", "/letters/list", "/letters/list?state=resolved"])
def test_an_empty_page_says_so(site: Site, path: str) -> None:
    answer = site.visitor("viewer").get(path + ("&" if "?" in path else "?") + "processor=nobody")
    assert "There are none." in answer.text
