"""Makes events of stream entries, in each of the layouts that the platform writes. Pure.

* fields of an envelope: ``id``, ``type``, ``payload``, ``timestamp``, ``version``, ``correlationId``, and from some
  publishers ``causationId`` and ``metadata``; payload and metadata are JSON text, an empty text is an absent field;
* a message: ``stream``, ``event``, ``payload``, ``ts``, ``version``; it has no id;
* one field with either of them as one JSON text.

Beside the first two a publisher may put its trace context, as ``traceparent`` and ``tracestate``.

Ids and times may be absent, and are ours then. One that is there and says nothing is refused: with an id of ours, a
donation that stands in two streams would be two events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fundlyhub.errors import InvalidEvent, UnknownEventType, UnknownVersion
from fundlyhub.events import Event
from fundlyhub.events.fields import MomentIso
from fundlyhub.events.opaque import Opaque
from fundlyhub.events.refusal import of_one_event
from fundlyhub.events.rules import MAX_BYTES, parse_json, reasons
from fundlyhub.events.tracing import TRACEPARENT, carrier_in
from fundlyhub.streams.entry import Entry

MAX_ENTRY = 4 * MAX_BYTES
"""Bytes of an entry at most; JSON with escapes is longer than its content."""

_KEYS = ("id", "type", "version", "timestamp", "payload", "correlationId", "causationId", "metadata")
_JSON = ("payload", "metadata")
_OURS_IF_ABSENT = ("id", "timestamp", "ts")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,9})?", re.ASCII)
_ISO = TypeAdapter(MomentIso)


@of_one_event
def to_event(entry: Entry) -> Event:
    """Make the event of an entry.

    One of an unknown type, or of a version that a newer release knows, is taken as it is. Raises InvalidEvent, which
    names the field, for what cannot be an event.
    """
    envelope = envelope_of(entry)
    try:
        return Event.model_validate(envelope)
    except (UnknownEventType, UnknownVersion) as error:
        if isinstance(error, UnknownVersion) and not error.newer:
            raise
        if not isinstance(envelope["payload"], dict):
            raise InvalidEvent("payload: must be an object") from None
        return Event.model_validate({**envelope, "payload": Opaque(content=envelope["payload"])})


def envelope_of(entry: Entry) -> dict[str, Any]:
    """The platform's JSON form of what an entry says. Raises InvalidEvent if it has none."""
    if entry.size > MAX_ENTRY:
        raise InvalidEvent(f"fields: must have at most {MAX_ENTRY} bytes, have {entry.size}")
    given = _texts(entry)
    if "type" in given:
        envelope = _traced(_from_fields(given), given)
    elif "event" in given and len(given) > 1:
        envelope = _traced(_from_message(_decoded(given)), given)
    elif len(given) == 1:
        envelope = _from_text(*given.popitem())
    else:
        raise InvalidEvent("fields: are of no known layout")
    defaults = {"id": entry.own_id, "timestamp": entry.milliseconds}
    if empty := [key for key in defaults if key in envelope and envelope[key] in ("", None)]:
        raise InvalidEvent(*(f"{key}: must not be empty" for key in empty))
    return {**defaults, **envelope}


def kind_of(entry: Entry) -> str | None:
    """The type that an entry names, as far as that can be told."""
    try:
        kind = envelope_of(entry).get("type")
    except Exception:  # whatever is wrong with it, it is told elsewhere
        found = (value for name, value in entry.fields if name in (b"type", b"event"))
        kind = next(found, b"").decode("ascii", "replace")
    return kind if isinstance(kind, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", kind) else None


def _texts(entry: Entry) -> dict[str, str]:
    texts: dict[str, str] = {}
    for raw_name, raw_value in entry.fields:
        try:
            name = raw_name.decode()
        except UnicodeDecodeError:
            raise InvalidEvent("fields: a name must be UTF-8") from None
        if name in texts:
            raise InvalidEvent(f"{_shown(name)}: stands twice in one entry")
        try:
            texts[name] = raw_value.decode()
        except UnicodeDecodeError:
            raise InvalidEvent(f"{_shown(name)}: must be UTF-8") from None
    return texts


def _from_fields(given: Mapping[str, str]) -> dict[str, Any]:
    envelope: dict[str, Any] = _decoded({key: given[key] for key in _KEYS if key in given})
    if envelope.get("timestamp"):
        if not _NUMBER.fullmatch(envelope["timestamp"]):
            raise InvalidEvent("timestamp: must be a number of milliseconds")
        envelope["timestamp"] = Decimal(envelope["timestamp"])
    return envelope


def _from_message(message: Mapping[str, Any]) -> dict[str, Any]:
    envelope = {key: message[key] for key in _KEYS if key in message}
    envelope["type"] = message.get("event")
    if "ts" in message:
        try:
            envelope["timestamp"] = _ISO.validate_python(message["ts"])
        except ValidationError as error:
            raise InvalidEvent(*reasons(error, "ts")) from None
    return envelope


def _traced(envelope: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """With a trace context that stands beside the fields, as instrumented publishers put it; metadata's own stays."""
    carrier, metadata = carrier_in(given), envelope.get("metadata") or {}
    if not carrier or not isinstance(metadata, dict) or TRACEPARENT in metadata:
        return envelope
    return {**envelope, "metadata": {**metadata, **carrier}}


def _from_text(name: str, text: str) -> dict[str, Any]:
    whole = _parsed(name, text)
    if not isinstance(whole, dict) or not whole.keys() & {"type", "event"}:
        raise InvalidEvent(f"{_shown(name)}: is no event in any known layout")
    return whole if "type" in whole else _from_message(whole)


def _decoded(given: Mapping[str, str]) -> dict[str, Any]:
    """The same fields without the empty ones, but those that are ours if absent; and those that hold JSON as values."""
    said = {key: value for key, value in given.items() if value or key in _OURS_IF_ABSENT}
    return {key: _parsed(key, value) if key in _JSON else value for key, value in said.items()}


def _parsed(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except InvalidEvent as error:
        raise InvalidEvent(*(f"{_shown(name)}: {reason}" for reason in error.reasons)) from None


def _shown(name: str) -> str:
    """A name comes from outside: a short word is shown, anything else is not."""
    return name if re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII) else "?"
