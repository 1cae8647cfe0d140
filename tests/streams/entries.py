"""Entries as each of the platform's publishers writes them, whole and wrong."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

from pydantic.alias_generators import to_snake

from fundlyhub.streams.entry import Entry

CAMPAIGN = "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f41"
DONATION = {
    "donationId": "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f40",
    "campaignId": CAMPAIGN,
    "amount": 5.5,
    "currency": "usd",
    "paymentMethod": "card",
}
SNAKE_DONATION = {to_snake(name): value for name, value in DONATION.items()}
ACCESS = {"campaign_id": CAMPAIGN, "allowed": True, "method": "public"}

Said = dict[Any, Any]


def now_ms() -> int:
    """Milliseconds since 1970, by this machine's clock."""
    return int(time.time() * 1000)


def whole(**fields: Any) -> Said:
    """The stream class of the browser's bus: all fields, empty texts for what is absent."""
    return {
        "id": str(uuid4()),
        "type": "donation.initiated",
        "payload": json.dumps(DONATION),
        "timestamp": str(now_ms()),
        "version": "1.0.0",
        "correlationId": "",
        "causationId": "",
        "metadata": "{}",
        **fields,
    }


def short(**fields: Any) -> Said:
    """The edge function that processes events: neither causationId nor metadata."""
    said = whole(**fields)
    return {name: said[name] for name in said if name not in ("causationId", "metadata")}


def message(**fields: Any) -> Said:
    """What the other edge functions mean to write: no id, an ISO time, snake_case."""
    return {
        "stream": "fundlyhub-events",
        "event": "campaign.access.checked",
        "payload": json.dumps(ACCESS),
        "ts": "2026-05-04T10:00:00.000Z",
        "version": "1.0.0",
        **fields,
    }


def one_text(**fields: Any) -> Said:
    """The same as one JSON text in one field."""
    return {"data": json.dumps({**message(), "payload": ACCESS, **fields})}


def whole_text(**fields: Any) -> Said:
    """An envelope as one JSON text."""
    said = {"id": str(uuid4()), "type": "donation.initiated", "version": "1.0.0", "timestamp": now_ms()}
    return {"event": json.dumps({**said, "payload": DONATION, **fields})}


def entry(said: Said, *, stream: str = "events", id: str | None = None) -> Entry:
    """As it is read."""
    pairs = tuple((_bytes(name), _bytes(value)) for name, value in said.items())
    return Entry(stream, id or f"{now_ms()}-0", pairs)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


# Each kind of entry that cannot be an event, with the reason that it is given.
MALFORMED: dict[str, tuple[Said, str]] = {
    "no known field": ({"hello": "1", "world": "2"}, "fields: are of no known layout"),
    "one field that is no JSON": ({"data": "hello"}, "data: is no JSON"),
    "one field, JSON, no event": ({"data": "[1]"}, "data: is no event in any known layout"),
    "an id that is empty": (whole(id=""), "id: must not be empty"),
    "an id of blanks": (whole(id=" \t"), "id: must be a UUID"),
    "an id with a blank": (whole(id=f" {uuid4()}"), "id: must be a UUID"),
    "an id that is empty, in one text": (one_text(id=""), "id: must not be empty"),
    "an id that is null, in one text": (one_text(id=None), "id: must not be empty"),
    "an id that is empty, in a message": (message(id=""), "id: must not be empty"),
    "a time that is empty": (whole(timestamp=""), "timestamp: must not be empty"),
    "a time of blanks": (whole(timestamp="  "), "timestamp: must be a number of milliseconds"),
    "a time that is null, in one text": (one_text(ts=None), "ts: must be ISO 8601"),
    "a message with a time that is empty": (message(ts=""), "ts: must be ISO 8601"),
    "a message of no event": (message(event=""), "type: is required"),
    "a message without a version": (message(version=""), "version: is required"),
    "a type of blanks": (whole(type=" "), "type: must be two to four dotted lower-case words"),
    "a version of blanks": (whole(version=" "), "version: must be two or three numbers"),
    "a correlation of blanks": (whole(correlationId=" "), "correlationId: must be a UUID"),
    "a time beyond all times": (whole(timestamp="9" * 20), "timestamp: must be milliseconds since 1970"),
    "a time of a hundred digits": (whole_text(timestamp=10**100), "timestamp: must be milliseconds since 1970"),
    "the last hours of the year 9999": (message(ts="9999-12-31T23:59:59-05:00"), "ts: must lie in the years 1 to 9999"),
    "snake case": (whole(payload=json.dumps(SNAKE_DONATION)), "payload.donationId: is required"),
    "snake case in one text": (whole_text(payload=SNAKE_DONATION), "payload.donationId: is required"),
    "camel case where snake case is meant": (
        message(payload='{"campaignId": "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f41", "method": "public"}'),
        "payload.campaign_id: is required",
    ),
    "no type": (whole(type=""), "type: is required"),
    "a type that can be none": (whole(type="Donation Initiated"), "type: must be two to four dotted lower-case words"),
    "no version": (whole(version=""), "version: is required"),
    "a version that is none": (whole(version="latest"), "version: must be two or three numbers"),
    "an old version that is not known": (whole(version="0.9"), "version: 0.9.0 of donation.initiated is not known"),
    "an id that is no UUID": (whole(id="42"), "id: must be a UUID"),
    "an unknown type with an id that is none": (whole(type="a.b", id="42"), "id: must be a UUID"),
    "a time in seconds": (whole(timestamp="1767225600"), "timestamp: .*looks like seconds"),
    "a time with junk behind it": (whole(timestamp="1767225600000abc"), "timestamp: must be a number"),
    "a time far ahead": (whole(timestamp="4102444800000"), "timestamp: must not be more than five minutes ahead"),
    "a correlation that is no UUID": (whole(correlationId="x"), "correlationId: must be a UUID"),
    "no payload": (whole(payload=""), "payload: is required"),
    "a payload that is no JSON": (whole(payload="{'a': 1}"), "payload: is no JSON"),
    "a payload that was cut off": (whole(payload='{"donationId": "7b8'), "payload: is no JSON"),
    "a payload that is a list": (whole(payload="[]"), "payload: must be an object"),
    "a list of an unknown type": (whole(type="a.b", payload="[]"), "payload: must be an object"),
    "a key that stands twice": (whole(payload='{"amount": 1, "amount": 2}'), "payload: amount: stands twice"),
    "NaN": (whole(payload='{"amount": NaN}'), "payload: must not hold NaN"),
    "U+0000": (whole(payload='{"a": "\\u0000"}'), "payload.*U\\+0000"),
    "a lone surrogate": (whole(payload='{"a": "\\ud800"}'), "payload.*surrogate"),
    "bytes that are not UTF-8": (whole(payload=b'{"a": "\xff"}'), "payload: must be UTF-8"),
    "a name that is not UTF-8": ({**whole(), b"\xff": "1"}, "fields: a name must be UTF-8"),
    "a payload without what it needs": (whole(payload="{}"), "payload.donationId: is required"),
    "no money": (whole(payload=json.dumps({**DONATION, "amount": 0})), "payload.amount: must be greater than 0"),
    "a text for a number": (whole(payload=json.dumps({**DONATION, "amount": "5"})), "payload.amount: must be a number"),
    "metadata that is a text": (whole(metadata='"x"'), "metadata: must be an object"),
    "nested without end": (whole(payload="[" * 100_000), "payload: must not be nested deeper"),
    "too large": (whole(payload=json.dumps({**DONATION, "x": "y" * 1_100_000})), "fields: must have at most"),
    "a number of a thousand digits": (whole(payload='{"a": ' + "9" * 5000 + "}"), "payload: must not hold such large"),
    "a message with a time that is none": (message(ts="yesterday"), "ts: must be ISO 8601"),
    "a message with a payload that is none": (message(payload="yes"), "payload: is no JSON"),
    "one text with a payload that is a text": (one_text(payload="yes"), "payload: must be an object"),
    "one text with a type that is a number": (one_text(event=7), "type: must be a text"),
}
