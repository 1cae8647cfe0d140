"""Messages in the console: found without keeping an address, settled once, and shown in a frame that can do nothing."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from fundlyhub import publish_event
from fundlyhub.channels.messages import ChannelName
from fundlyhub.console.pages.messages import FRAME
from fundlyhub.database import get_engine
from fundlyhub.events import Event
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import get_settings
from tests.console.callers import caller
from tests.console.site import Site
from tests.support.make import completed

USER, GUEST = UUID(int=71), "guest+hostile@example.org"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def event(site: Site) -> Event:
    """A donation of a user whose name is hostile."""
    with get_engine("app").begin() as db:
        db.exec_driver_sql(
            "INSERT INTO contacts (user_id, name, email) VALUES (%(id)s, %(name)s, 'ada@example.org')",
            {"id": USER, "name": HOSTILE},
        )
    with get_engine("events").begin() as db:
        return publish_event(completed(donor_id=USER), session=db)


def written(event: Event, state: str, recipient: str = str(USER), channel: ChannelName = "email") -> UUID:
    """A message of the event in the ledger."""
    row = {
        "id": uuid4(), "event": event.id, "position": event.position, "channel": channel, "recipient": recipient,
        "user": USER if recipient == str(USER) else None, "state": state, "matter": f"event={uuid4()}",
    }  # fmt: skip
    with get_engine("app").begin() as db:
        db.exec_driver_sql(
            """
            INSERT INTO notifications (id, event_id, position, channel, recipient, template, user_id, transactional,
                                       state, matter)
            VALUES (%(id)s, %(event)s, %(position)s, %(channel)s, %(recipient)s, 'donation_receipt', %(user)s, true,
                    %(state)s, %(matter)s)
            """,
            row,
        )
    return UUID(str(row["id"]))


@pytest.fixture(autouse=True)
def empty_ledger(site: Site) -> None:
    """The tests have the ledger to themselves, one after the other."""
    with get_engine("app").begin() as db:
        db.exec_driver_sql("DELETE FROM notifications")


def state_of(id: UUID) -> tuple[str, str, bool]:
    """State, reason, and whether it counts as accepted."""
    with get_engine("app").connect() as db:
        query = "SELECT state, reason, sent_at IS NOT NULL FROM notifications WHERE id = %(id)s"
        return tuple(db.exec_driver_sql(query, {"id": id}).one())


def test_an_address_finds_its_messages_and_is_kept_nowhere(site: Site, event: Event) -> None:
    to_guest = written(event, "sent", address_hash("email", GUEST, get_settings().secret))
    to_user = written(event, "delivered")
    visitor = site.visitor("operator")
    for address, id in ((GUEST.upper(), to_guest), ("ada@example.org", to_user)):
        found = visitor.post("/messages/to-address", {"address": address})
        assert found.status_code == 200
        assert [f"/messages/{one}" in found.text for one in (to_guest, to_user)] == [
            one == id for one in (to_guest, to_user)
        ]
        assert address not in found.text
        assert str(found.url) == f"{site.url}/messages/to-address"
    assert "hostile@example" not in site.process.log.read_text().lower()
    by_user = visitor.get(f"/messages?user={USER}").text
    assert f"/messages/{to_user}" in by_user
    assert f"/messages/{to_guest}" not in by_user
    assert visitor.get("/messages?state=sent").status_code == 400, "all that were sent are too many to list"
    assert visitor.get("/messages?user=ada@example.org").status_code == 400


def test_a_long_list_goes_on_where_it_ended(site: Site, event: Event) -> None:
    ids = {str(written(event, "unknown", f"{number:064x}")) for number in range(60)}
    visitor, seen, path = site.visitor("viewer"), [], "/messages"
    for _ in range(2):
        page = visitor.get(path).text
        seen += [one for one in ids if f'href="/messages/{one}"' in page]
        rest = page.partition('<p class="more">')[2].partition("</p>")[0]
        path = rest.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert sorted(seen) == sorted(ids)


def test_an_unknown_outcome_is_settled_once_with_a_reason(site: Site, event: Event) -> None:
    sent, unsent = written(event, "unknown"), written(event, "unknown", f"{1:064x}")
    visitor = site.visitor("operator")
    assert "It was sent" not in site.visitor("viewer").get(f"/messages/{sent}").text
    assert visitor.post(f"/messages/{sent}/settle", {"outcome": "sent", "reason": ""}).status_code == 400
    assert visitor.post(f"/messages/{sent}/settle", {"outcome": "maybe", "reason": "x"}).status_code == 400
    assert state_of(sent)[0] == "unknown"
    for id, outcome in ((sent, "sent"), (unsent, "not sent"), (sent, "not sent")):
        done = visitor.post(f"/messages/{id}/settle", {"outcome": outcome, "reason": "by its log"})
        assert done.status_code == 303
    assert state_of(sent) == ("sent", "sent, says operator: by its log", True), "the second decision changes nothing"
    assert state_of(unsent) == ("failed", "not sent, says operator: by its log", False)
    page = visitor.get(f"/messages/{sent}").text
    assert "nothing was changed" in page
    assert "Was it sent?" not in page
    audit = visitor.get("/audit?kind=console").text
    assert audit.count(f"message {sent}") == 1
    assert f"message {unsent}" in audit


def test_a_message_is_shown_in_a_frame_and_the_look_is_recorded_first(site: Site, event: Event) -> None:
    id = written(event, "sent")
    path = f"/messages/{id}"
    visitor = site.visitor("privacy")
    page = visitor.get(path).text
    assert '<iframe class="message" name="message" sandbox title' in page
    assert "<iframe" not in site.visitor("operator").get(path).text
    assert "The reason must be" in visitor.post(f"{path}/shown", {"reason": ""}).text
    with get_engine("events").connect() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM events.disclosures").scalar() == 0
    shown = visitor.post(f"{path}/shown", {"reason": "ticket 7"})
    assert "10.00" in shown.text
    assert HOSTILE not in shown.text
    for name, value in FRAME.items():
        assert shown.headers[name] == value
    assert "script" not in FRAME["Content-Security-Policy"]
    with get_engine("events").connect() as db:
        ((who, what),) = db.exec_driver_sql("SELECT who, what FROM events.disclosures").all()
        changed = db.exec_driver_sql("SELECT count(*) FROM app.refund_tellings").scalar()
    assert (who, what, changed) == ("privacy", f"message {id} as text: ticket 7", 0)
    with get_engine("events").begin() as db:
        db.exec_driver_sql("DELETE FROM events.disclosures")


def test_failed_delivery_reports_are_applied_again_or_discarded(site: Site) -> None:
    with get_engine("app").begin() as db:
        insert = """INSERT INTO delivery_reports (provider, words, bytes, failed_at, error)
                    VALUES ('smtp', '[]', 1, now(), '<b>x</b>'), ('smtp', '{}', 1, now(), 'x') RETURNING id"""
        good, bad = db.exec_driver_sql(insert).scalars().all()
    visitor = site.visitor("operator")
    page = visitor.get("/messages/reports").text
    assert "&lt;b&gt;x" in page
    assert "<form" not in page.partition("<main")[2] or f"/messages/reports/{bad}/discard" in page
    assert visitor.post(f"/messages/reports/{good}/retry", {"reason": "mended"}).status_code == 303
    assert visitor.post(f"/messages/reports/{good}/retry", {"reason": "mended"}).status_code == 404, (
        "it is applied, and gone"
    )
    assert visitor.post(f"/messages/reports/{bad}/discard", {"reason": "garbage"}).status_code == 303
    assert "garbage" in visitor.get("/messages/reports?discarded=1").text


def test_the_api_lists_settles_and_shows_messages_as_the_pages_do(site: Site, event: Event) -> None:
    ids = {str(written(event, "unknown", f"{number:064x}")) for number in range(5)}
    to_guest = written(event, "sent", address_hash("email", GUEST, get_settings().secret))
    given = caller(site, "privacy")
    first = given.get("/messages", limit="3").json()
    second = given.get("/messages", limit="3", page=first["next"]).json()
    assert {one["id"] for one in first["items"] + second["items"]} == ids
    assert second["next"] is None
    assert given.get("/messages", state="sent").status_code == 400, "all that were sent are too many to list"
    assert given.get("/messages", state="lost").status_code == 400
    found = given.post("/messages/to-address", {"address": GUEST.upper()})
    assert [one["id"] for one in found.json()["items"]] == [str(to_guest)]
    assert "hostile@example" not in found.text + site.process.log.read_text().lower()

    id = UUID(next(iter(ids)))
    path, decision = f"/messages/{id}", {"outcome": "not sent", "reason": "by its log"}
    assert given.post(f"{path}/settle", {**decision, "outcome": "maybe"}).status_code == 422
    assert [given.post(f"{path}/settle", decision).json()["changed"] for _ in range(2)] == [True, False]
    assert state_of(id) == ("failed", f"not sent, says {given.who}: by its log", False)
    seen = given.get(path).json()
    assert (seen["state"], seen["story"][-1]["what"]) == ("failed", "failed")
    assert len(seen["others"]) == 5
    assert given.post(f"{path}/text", {}).status_code == 422
    assert "10.00" in given.post(f"{path}/text", {"reason": "ticket 7"}).json()["text"]
    with get_engine("events").begin() as db:
        (what,) = db.exec_driver_sql("DELETE FROM events.disclosures RETURNING what").scalars()
    assert what == f"message {id} as text: ticket 7"


def test_the_api_applies_failed_delivery_reports_again_or_discards_them(site: Site) -> None:
    with get_engine("app").begin() as db:
        insert = """INSERT INTO delivery_reports (provider, words, bytes, failed_at, error)
                    VALUES ('smtp', '[]', 1, now(), 'x'), ('smtp', '{}', 1, now(), 'x') RETURNING id"""
        good, bad = db.exec_driver_sql(insert).scalars().all()
    given = caller(site, "operator")
    assert {one["id"] for one in given.get("/messages/reports").json()} >= {good, bad}
    assert given.post(f"/messages/reports/{good}/retry", {"reason": "mended"}).json() == {
        "applied": [good],
        "failed": [],
    }
    assert given.post(f"/messages/reports/{good}/retry", {"reason": "mended"}).status_code == 404
    assert given.post(f"/messages/reports/{bad}/discard", {"reason": "garbage"}).json() == {"discarded": [bad]}
    discarded = given.get("/messages/reports", discarded="true").json()
    assert discarded[0]["discard_reason"] == "garbage"
