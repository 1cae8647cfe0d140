"""From fields to events: each layout as its publisher writes it; a reason names the field of what is wrong."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from fundlyhub import DonationInitiated
from fundlyhub.errors import InvalidEvent
from fundlyhub.events.catalogue import CampaignAccessChecked
from fundlyhub.events.opaque import Opaque
from fundlyhub.streams.entry import Entry
from fundlyhub.streams.layouts import to_event
from tests.streams.entries import ACCESS, DONATION, MALFORMED, Said, entry, message, one_text, short, whole


@pytest.mark.parametrize("said", [whole(), short()], ids=["whole", "short"])
def test_fields_of_an_envelope(said: Said) -> None:
    event = to_event(entry(said))
    assert isinstance(event.payload, DonationInitiated)
    assert (str(event.id), event.version, event.metadata) == (said["id"], "1.0.0", {})
    assert event.timestamp == datetime.fromtimestamp(int(said["timestamp"]) / 1000, UTC)
    assert (event.payload.amount, event.payload.currency) == (Decimal("5.5"), "USD")
    assert (event.correlation_id, event.causation_id) == (None, None)


def test_all_that_an_envelope_may_say() -> None:
    one, other = uuid4(), uuid4()
    said = whole(
        type="user.campaign_followed",
        payload=json.dumps({"userId": str(one), "campaignId": str(other), "followType": "user"}),
        version="1.0",
        correlationId=str(one),
        causationId=str(other),
        metadata='{"clientId": "tab", "sessionId": "s3cret"}',
        surprise="ignored",
    )
    event = to_event(entry(said))
    assert (event.type, event.version) == ("user.followed_campaign", "1.0.0")
    assert (event.correlation_id, event.causation_id) == (one, other)
    assert event.metadata == {"clientId": "tab"}


@pytest.mark.parametrize("said", [message(), one_text()], ids=["message", "one text"])
def test_a_message_without_an_id(said: Said) -> None:
    event = to_event(entry(said, id="1777888999000-3"))
    assert isinstance(event.payload, CampaignAccessChecked)
    assert event.timestamp == datetime(2026, 5, 4, 10, tzinfo=UTC)
    assert event.id == UUID("cfd629af-039d-53f5-9378-d7b91637d2a8")  # for ever
    assert event.id == to_event(entry(said, id="1777888999000-3")).id
    assert event.id != to_event(entry(said, id="1777888999000-4")).id
    assert event.id != to_event(entry(said, id="1777888999000-3", stream="other")).id


@pytest.mark.parametrize("said", [whole(), short(), message()], ids=["whole", "short", "message"])
def test_a_trace_context_beside_the_fields_belongs_to_the_event(said: Said) -> None:
    parent, other = (f"00-{'4bf92f35' * 4}-00f067aa0ba902b{n}-01" for n in (7, 8))
    alone = {"traceparent": parent}
    beside = {**alone, "tracestate": "vendor=one"}
    assert to_event(entry({**said, **beside})).metadata == beside
    assert to_event(entry({**said, **alone, "tracestate": "no state\0"})).metadata == alone
    assert to_event(entry({**said, "traceparent": "nonsense\0"})).metadata == {}
    own = json.dumps({"traceparent": other})
    assert to_event(entry(whole(metadata=own, **beside))).metadata == {"traceparent": other}


def test_an_envelope_as_one_json_text() -> None:
    said = {"id": str(uuid4()), "type": "donation.initiated", "version": "1.0.0", "timestamp": 1777888999000}
    event = to_event(entry({"event": json.dumps({**said, "payload": DONATION})}))
    assert (str(event.id), event.type) == (said["id"], "donation.initiated")


@pytest.mark.parametrize("said", [whole(), message()], ids=["fields", "message"])
def test_what_brings_no_time_happened_when_the_stream_took_it(said: Said) -> None:
    without = {name: value for name, value in said.items() if name not in ("id", "timestamp", "ts")}
    event = to_event(entry(without, id="1777888999123-0"))
    assert event.timestamp == datetime.fromtimestamp(1777888999.123, UTC)
    assert event.id.version == 5


@pytest.mark.parametrize(
    ("kind", "version"), [("campaign.featured", "1.0.0"), ("donation.initiated", "9.0.0")], ids=["type", "version"]
)
def test_what_a_newer_release_may_know_is_taken_as_it_is(kind: str, version: str) -> None:
    event = to_event(entry(whole(type=kind, version=version, payload='{"a": {"passcode": "s3cret", "b": 1.10}}')))
    assert isinstance(event.payload, Opaque)
    assert (event.type, event.version) == (kind, version)
    assert event.payload_json == b'{"a":{"b":1.10}}'


@pytest.mark.parametrize(("said", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_cannot_be_an_event_is_refused_with_the_reason(said: Said, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        to_event(entry(said))
    assert re.search(reason, str(caught.value)), str(caught.value)


def test_a_field_that_stands_twice_is_refused() -> None:
    given = entry(whole())
    with pytest.raises(InvalidEvent, match="type: stands twice in one entry"):
        to_event(Entry(given.stream, given.id, (*given.fields, (b"type", b"donation.completed"))))


@pytest.mark.parametrize("value", [b"s3cret", b'{"s3cret": s3cret}', b"\xffs3cret"])
@pytest.mark.parametrize("name", ["id", "type", "payload", "timestamp", "version", "correlationId", "metadata"])
def test_no_reason_repeats_a_value(name: str, value: Any) -> None:
    try:
        to_event(entry({**whole(), name: value}))
    except InvalidEvent as error:
        assert "s3cret" not in str(error).replace("type: s3cret is not a known", "")


def test_the_snake_case_payload_of_a_message_is_whole() -> None:
    assert to_event(entry(message())).payload.to_wire()["method"] == ACCESS["method"]
