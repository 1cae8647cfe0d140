"""History mails nobody: events that were old when they were published, and those that are imported."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from fundlyhub import Event, Payload, publish_event, publish_events
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.events.encoding import dumps
from fundlyhub.events.lines import publish_lines
from fundlyhub.processing.registry import processors
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.settings import get_settings
from fundlyhub.verification import verify
from tests.notifications.occasions import NOW
from tests.notifications.post import ME, TELLING, WELLS, WRITES, Post
from tests.support.make import completed
from tests.verification.world import relay

GIFT = UUID(int=92)
CLICK = UserLoggedIn(user_id=ME, ip_address="192.0.2.1", user_agent="Firefox", timestamp=NOW)


def happened(post: Post, ago: timedelta, *payloads: Payload, **options: Any) -> list[int]:
    """Published now, of what happened so long ago; taken up and told."""
    events = [Event.of(one, timestamp=datetime.now(UTC) - ago) for one in payloads]
    return taken_up(post, [event.position or 0 for event in publish_events(events, **options)])


def taken_up(post: Post, positions: list[int]) -> list[int]:
    for processor in (*WRITES, *TELLING):
        post.run(processor, positions)
    return positions


def reasons(post: Post) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in post.entries():
        found.setdefault(one.template, set()).add(one.reason or one.state)
    return found


def test_gifts_of_2001_are_told_nobody(post: Post) -> None:
    positions = happened(post, datetime.now(UTC) - datetime(2001, 1, 1, tzinfo=UTC), completed(WELLS, donor_id=ME))
    assert reasons(post) == {"donation_receipt": {"too old"}, "new_donation": {"too old"}}
    assert post.claims(EmailNotificationProcessor) == positions


@pytest.mark.parametrize(
    ("ago", "gift", "sign_in"),
    [
        (timedelta(hours=23), "sent", "sent"),
        (timedelta(hours=25), "sent", "too old"),
        (timedelta(days=6, hours=23), "sent", "too old"),
        (timedelta(days=7, hours=1), "too old", "too old"),
    ],
    ids=str,
)
def test_a_week_is_old_for_a_gift_and_a_day_for_a_sign_in(post: Post, ago: timedelta, gift: str, sign_in: str) -> None:
    earlier = CLICK.model_copy(update={"user_agent": "Safari", "ip_address": "198.51.100.7"})
    happened(post, ago + timedelta(days=1), earlier)
    post.sql("DELETE FROM app.notifications")
    happened(post, ago, completed(WELLS, donor_id=ME), CLICK)
    told = reasons(post)
    assert (told["donation_receipt"], told["new_sign_in"]) == ({gift}, {sign_in})


def test_without_a_limit_all_is_told(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDLYHUB_NOTIFICATION_MAX_AGE", "0")
    get_settings.cache_clear()
    happened(post, timedelta(days=800), completed(WELLS, donor_id=ME))
    monkeypatch.undo()
    get_settings.cache_clear()
    assert reasons(post)["donation_receipt"] == {"sent"}


def test_what_we_ourselves_have_delayed_is_told_after_all(post: Post) -> None:
    positions = post.known(completed(WELLS, donor_id=ME))
    post.sql("UPDATE events.events SET occurred_at = occurred_at - interval '10 days',"
             " recorded_at = recorded_at - interval '10 days' WHERE position = ANY (%s)", positions)  # fmt: skip
    post.run(EmailNotificationProcessor, positions)
    assert reasons(post)["donation_receipt"] == {"sent"}


def one_by_one(events: list[Event]) -> None:
    for event in events:
        publish_event(event, imported=True)


def as_payloads(events: list[Event]) -> None:
    for event in events:
        publish_event(event.payload, id=event.id, timestamp=event.timestamp, imported=True)


def together(events: list[Event]) -> None:
    publish_events(events, imported=True)


def from_a_file(events: list[Event]) -> None:
    lines = b"\n".join(dumps(event.to_envelope()) for event in events)
    assert [report.published for report in publish_lines(io.BytesIO(lines), imported=True)] == [len(events)]


def as_marked_envelopes(events: list[Event]) -> None:
    lines = b"\n".join(dumps({**event.to_envelope(), "metadata": {"imported": True}}) for event in events)
    list(publish_lines(io.BytesIO(lines)))


def by_sql(events: list[Event]) -> None:
    with get_engine("events").begin() as db:
        for event in events:
            db.exec_driver_sql(
                "SELECT events.publish_event(%s, %s, version => %s, id => %s, metadata => '{\"imported\": true}')",
                (event.type, event.payload_json.decode(), event.version, event.id),
            )


@pytest.mark.parametrize(
    "door",
    [one_by_one, as_payloads, together, from_a_file, as_marked_envelopes, by_sql],
    ids=lambda door: door.__name__,
)
def test_what_is_imported_is_taken_up_and_told_nobody(post: Post, door: Callable[[list[Event]], None]) -> None:
    before = post.column("SELECT max(position) FROM events.events")[0]
    door([Event.of(completed(WELLS, donation_id=GIFT, donor_id=ME)), Event.of(CLICK)])
    positions = taken_up(post, post.column("SELECT position FROM events.events WHERE position > %s", before))
    assert post.entries() == []
    assert post.column("SELECT donation_id FROM app.gift_donors") == [GIFT]
    assert post.claims(EmailNotificationProcessor) == positions
    relay()
    for name in ("email_notification", "push_notification", "sms_notification"):
        report = verify(get_settings(), {name: processors()[name]}, grace=0.0, since=before)
        assert report.findings.listed == []


def test_a_mark_that_is_not_true_is_none(post: Post) -> None:
    event = Event.of(completed(WELLS, donation_id=GIFT, donor_id=ME), metadata={"imported": "no"})
    taken_up(post, [publish_event(event).position or 0])
    assert post.states("donation_receipt") == {"email": "sent"}


def test_importing_keeps_the_metadata_that_is_there(post: Post) -> None:
    event = publish_event(Event.of(CLICK, metadata={"source": "archive"}), imported=True)
    stored = post.column("SELECT metadata::text FROM events.events WHERE position = %s", event.position)[0]
    assert orjson.loads(stored) == {"source": "archive", "imported": True}


def test_what_is_too_old_stays_so_whoever_tells_of_it_and_however_often_it_is_planned(post: Post) -> None:
    gift = completed(WELLS, donation_id=GIFT, donor_id=ME)
    for _ in range(2):
        positions = happened(post, timedelta(days=30), gift)
        post.sql("DELETE FROM app.processed_events WHERE processor = 'email_notification'")
        post.run(EmailNotificationProcessor, positions)
    assert reasons(post)["donation_receipt"] == {"too old"}
    happened(post, timedelta(), gift.model_copy())
    assert reasons(post)["donation_receipt"] == {"too old", "sent"}, "a fresh event tells what old ones did not"
