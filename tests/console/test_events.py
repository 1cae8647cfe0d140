"""The page of events: an id of any kind leads to a story, lists are paged, and payloads are shown against a reason."""

from __future__ import annotations

from uuid import uuid4

import pytest

from fundlyhub import publish_event, publish_events
from fundlyhub.database import connect, get_engine
from fundlyhub.database.disclosed import disclosures
from fundlyhub.history.searching import meaning
from tests.console.site import Site
from tests.support.make import completed, search

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MESSAGE = """
    INSERT INTO app.notifications (id, event_id, position, channel, recipient, template, transactional, state)
    VALUES (%(message)s, %(event)s, %(position)s, 'email', %(recipient)s, 'donation_receipt', true, 'sent')
"""


def test_each_kind_of_id_leads_to_its_story_or_its_list(site: Site) -> None:
    correlation, message = uuid4(), uuid4()
    first = publish_event(
        completed(), correlation_id=correlation, metadata={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    )
    caused = publish_event(search("<script>"), causation_id=first.id)
    with connect("app", autocommit=True) as db:
        given = {"message": message, "event": first.id, "position": first.position, "recipient": str(uuid4())}
        db.execute(MESSAGE, given)
    visitor = site.visitor("viewer")
    story = f"/events/{first.position}"
    for name in (first.position, first.id, str(first.id)[:30], f" {first.id} ", message, str(message)[:13]):
        answer = visitor.get(f"/events?id={name}")
        assert (answer.status_code, answer.headers.get("location")) == (303, story), name
    for name, list_ in (
        (correlation, f"/events?correlation={correlation}"),
        (first.aggregate_id, f"/events?aggregate={first.aggregate_id}"),
        (TRACE, f"/events?trace={TRACE}"),
    ):  # fmt: skip
        assert visitor.get(f"/events?id={name}").headers["location"] == list_
        page = visitor.get(list_).text
        assert f'href="{story}"' in page
        assert f'href="/events/{caused.position}"' not in page
    with connect("events", autocommit=True) as db:
        assert meaning(db, TRACE).kind == "trace"
    page = visitor.get(story).text
    assert f"published {first.type}" in page
    assert page.count('class="mark"') >= 2, "its timeline has what happened to the event and to its message"
    assert f"message {message}" in page
    assert f'href="/events/{caused.position}"' in page
    assert visitor.get(f"/events/{(caused.position or 0) + 1000}").status_code == 404


@pytest.mark.parametrize(
    "name", ["nobody", "00000000-0000-0000-0000-000000000000", "ffff", "<script>", "%00", "9" * 18]
)
def test_what_is_not_there_is_said(site: Site, name: str) -> None:
    answer = site.visitor("viewer").get(f"/events?id={name}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_lists_are_paged_without_gap_and_wrong_filters_are_named(site: Site) -> None:
    sent = [event.position for event in publish_events(search(str(number)) for number in range(60))]
    visitor = site.visitor("viewer")
    newest = visitor.get("/events?type=search.**").text
    assert f'href="/events/{sent[10]}"' in newest
    assert f'href="/events/{sent[9]}"' not in newest
    older = visitor.get(f"/events?type=search.**&before={sent[10]}").text
    assert f'href="/events/{sent[9]}"' in older
    assert f'href="/events/{sent[10]}"' not in older
    wrong = visitor.get("/events?type=a;b&since=yesterday&correlation=x&trace=%00&before=-1").text
    assert wrong.count('class="wrong"') == 5
    part = visitor.client.get("/events", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert f'href="/events/{sent[-1]}"' in part


def test_a_payload_is_shown_against_a_reason_and_that_is_recorded(site: Site) -> None:
    event = publish_event(search("<b>secret</b>"))
    path = f"/events/{event.position}/payload"
    assert "secret" not in site.visitor("privacy").get(f"/events/{event.position}").text
    assert site.visitor("privacy").post(path, {"reason": " "}).status_code == 400
    shown = site.visitor("privacy").post(path, {"reason": "a donor asks"}).text
    assert "&lt;b&gt;secret&lt;/b&gt;" in shown
    with get_engine("events").connect() as db:
        (line,) = disclosures(db, limit=9)
    assert (line.who, line.command) == ("privacy", "console events")
    assert line.what == f"event {event.id}: a donor asks"


def test_an_address_is_not_looked_for_in_the_log_and_messages_are_named(site: Site) -> None:
    page = site.visitor("viewer").get("/events?id=ann%40example.org").text
    assert "finds what went to it" in page
    assert "fundlyhub events story" not in page
