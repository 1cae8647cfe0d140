"""The event envelope: an immutable event, as services publish it and processors receive it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, SerializeAsAny, ValidationError, model_validator
from uuid_utils.compat import uuid7

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.catalogue import CURRENT, PAYLOADS, canonical_type, canonical_version, payload_class
from fundlyhub.events.encoding import checked_json, dumps
from fundlyhub.events.log import StoredEvent, decode
from fundlyhub.events.metadata import checked_metadata
from fundlyhub.events.opaque import Opaque, Unread
from fundlyhub.events.payload import CamelCase, MomentMs, Payload
from fundlyhub.events.refusal import of_one_event
from fundlyhub.events.rules import MAX_BYTES, check_json, reasons
from fundlyhub.events.upcasters import upcast

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Earliest time of an event; an earlier one is a mistake."""
MAX_AHEAD = timedelta(minutes=5)
"""How far the clock of a publisher may be ahead of ours."""
_ID = frozenset({UUID, type(None)})
_WRITTEN = "_written"
"""Key under which an event caches a payload and its JSON, made by the check and used by publishing."""
_NOTHING = (None, b"")


class Event(CamelCase):
    """One event: what happened, when, to what, and why. It cannot be changed.

    ``Event.of(payload)`` makes one; ``Event.model_validate(envelope)`` reads the platform's JSON form
    (camelCase, ``timestamp`` in milliseconds). Both raise InvalidEvent, which names each wrong field, and so does
    whatever here touches the payload. ``position`` is the place in the log, known once the event is published.

    ::

        from fundlyhub import Event, UserFollowedCampaign

        event = Event.of(UserFollowedCampaign(user_id=ann, campaign_id=wells, follow_type="user"))
        assert event.type == "user.followed_campaign"
        assert event.payload.user_id == ann
        assert (event.aggregate_type, event.aggregate_id) == ("user", str(ann))
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: UUID
    type: str
    version: str
    timestamp: MomentMs
    payload: SerializeAsAny[Payload]
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    position: int | None = Field(None, exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    @of_one_event
    def _with_reasons(cls, data: Any, handler: Any) -> Self:
        try:
            event: Self = handler(_prepared(data))
        except ValidationError as error:
            raise InvalidEvent(*reasons(error)) from None
        return event._within_limits(datetime.now(UTC), event.payload_json)

    def _within_limits(self, now: datetime, payload_json: bytes) -> Self:
        """Check time and size, cache the JSON, and return the event itself. Raises InvalidEvent."""
        _check_time(self.timestamp, now=now)
        size = len(payload_json) + len(self.metadata_json)
        if size > MAX_BYTES:
            raise InvalidEvent(f"payload: must have at most {MAX_BYTES} bytes, has {size}")
        self.__dict__[_WRITTEN] = (self.payload, payload_json)
        return self

    @classmethod
    @of_one_event
    def of(
        cls,
        payload: Payload,
        *,
        id: UUID | None = None,
        timestamp: datetime | None = None,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Self:
        """Make an event of this payload; id and timestamp default to a new id and the current time.

        A new id is a UUIDv7 (RFC 9562), so that new ids are adjacent in the log's index. Raises InvalidEvent.
        """
        now = datetime.now(UTC)
        values = {
            "id": uuid7() if id is None else id,
            "type": payload.event_type,
            "version": payload.event_version,
            "timestamp": now if timestamp is None else timestamp,
            "payload": payload,
            "correlation_id": correlation_id,
            "causation_id": causation_id,
            "metadata": {} if metadata is None else metadata,
            "position": None,
        }
        if not _has_exact_types(values):
            return cls(**values)
        # Only the metadata needs validation; validating the rest would triple the cost.
        text = checked_json(payload)
        if metadata is not None:
            values["metadata"] = checked_metadata(metadata)
        return cls._made(values)._within_limits(now, text)

    @classmethod
    @of_one_event
    def stored(cls, row: StoredEvent) -> Event:
        """Read a row of the log, upcast it to the newest version of its type, and check it.

        Raises InvalidEvent, UnknownEventType or UnknownVersion.
        """
        kind, version, current = _reading(row.type, row.version)  # an unknown version is no invalid payload
        _check_time(row.occurred_at, now=row.recorded_at)
        payload, metadata = decode(row.payload), decode(row.metadata, "metadata")
        if version != current.event_version:
            version, payload = upcast(kind, version, payload)
        # The columns have their types from the database, so only the payload is validated.
        return cls._made({
            "id": row.id,
            "type": kind,
            "version": version,
            "timestamp": row.occurred_at,
            "payload": _validated(current, payload),
            "correlation_id": row.correlation_id,
            "causation_id": row.causation_id,
            "metadata": metadata,
            "position": row.position,
        })  # fmt: skip

    @classmethod
    def unread(cls, row: StoredEvent) -> Event:
        """Take a row of the log without its contents, whatever its type and version, and check nothing of it."""
        return cls._made({
            "id": row.id,
            "type": row.type,
            "version": row.version,
            "timestamp": row.occurred_at,
            "payload": Unread.model_construct(about=row.aggregate_id),
            "correlation_id": row.correlation_id,
            "causation_id": row.causation_id,
            "metadata": decode(row.metadata, "metadata") if row.metadata else {},
            "position": row.position,
        })  # fmt: skip

    @classmethod
    def _made(cls, values: dict[str, Any]) -> Self:
        """An event with these fields, without validation: a faster ``model_construct`` of pydantic."""
        event = cls.__new__(cls)
        _put(event, "__dict__", values)
        _put(event, "__pydantic_fields_set__", _ALL_FIELDS)
        _put(event, "__pydantic_extra__", None)
        _put(event, "__pydantic_private__", None)
        return event

    def placed(self, position: int, timestamp: datetime | None = None) -> Self:
        """The same event with its position and timestamp in the log."""
        values = {**self.__dict__, "position": position}
        values.pop(_WRITTEN, None)  # it is no longer needed
        if timestamp is not None:
            values["timestamp"] = timestamp
        return self._made(values)

    @property
    @of_one_event
    def payload_json(self) -> bytes:
        """The payload as in the log: UTF-8 JSON, money as numbers."""
        payload, text = self.__dict__.get(_WRITTEN, _NOTHING)
        # A copy of an event has its cache, but may have another payload.
        return text if payload is self.payload else dumps(self.payload.to_wire())

    @property
    @of_one_event
    def metadata_json(self) -> bytes:
        """The metadata as in the log: UTF-8 JSON."""
        return dumps(self.metadata) if self.metadata else b"{}"

    @property
    @of_one_event
    def aggregate_type(self) -> str | None:
        """The kind of entity that the event is about."""
        return self.payload.aggregate_kind

    @property
    @of_one_event
    def aggregate_id(self) -> str | None:
        """The id of the entity that the event is about."""
        id_ = self.payload.aggregate_id
        if id_ is not None:
            if not isinstance(id_, str):
                raise InvalidEvent("aggregateId: must be a text")
            if not id_.isascii() or "\0" in id_:
                check_json(id_, path="aggregateId")
        return id_

    @of_one_event
    def payload_wire(self) -> dict[str, Any]:
        """The payload with the keys of the wire format."""
        return self.payload.to_wire()

    @of_one_event
    def to_envelope(self) -> dict[str, Any]:
        """The platform's JSON form, as Python values without absent fields."""
        return {key: value for key, value in self.model_dump(by_alias=True).items() if value is not None}


_put = object.__setattr__  # the model is frozen
_ALL_FIELDS = set(Event.model_fields)
"""Shared by all events that are made without validation."""


@lru_cache(maxsize=1_000)
def _reading(type: str, version: str) -> tuple[str, str, type[Payload]]:
    """Canonical type and version, and the payload class of the type's newest version.

    Raises InvalidEvent, UnknownEventType or UnknownVersion.
    """
    kind, version = canonical_type(type), canonical_version(version)
    payload_class(kind, version)
    return kind, version, CURRENT[kind]


def _prepared(data: Any) -> Any:
    """The envelope with canonical type and version and a checked payload."""
    if not isinstance(data, dict):
        raise InvalidEvent("an event must be a JSON object")
    if missing := [f"{name}: is required" for name in ("type", "version", "payload") if data.get(name) is None]:
        raise InvalidEvent(*missing)
    if wrong := [f"{name}: must be a text" for name in ("type", "version") if not isinstance(data[name], str)]:
        raise InvalidEvent(*wrong)
    kind, version = canonical_type(data["type"]), canonical_version(data["version"])
    return {
        **{key: value for key, value in data.items() if key != "position"},  # only the log gives a position
        "type": kind,
        "version": version,
        "payload": _checked_payload(kind, version, data["payload"]),
        "metadata": checked_metadata(data.get("metadata")),
    }


def _has_exact_types(values: Mapping[str, Any]) -> bool:
    """Whether validation would change none of the envelope's values, except the metadata."""
    timestamp = values["timestamp"]
    return (
        PAYLOADS.get((values["type"], values["version"])) is type(values["payload"])
        and type(timestamp) is datetime
        and timestamp.tzinfo is UTC
        and _ID.issuperset(map(type, (values["id"], values["correlation_id"], values["causation_id"])))
    )


def _checked_payload(kind: str, version: str, payload: Any) -> Payload:
    if isinstance(payload, Opaque):
        return payload.checked(kind)
    expected = payload_class(kind, version)
    if isinstance(payload, Payload):
        if not isinstance(payload, expected):
            raise InvalidEvent(f"payload: must be {expected.__name__}, not {type(payload).__name__}")
        check_json(payload.to_wire(), path="payload")
        return payload
    check_json(payload, path="payload")
    return _validated(expected, payload)


def _validated(expected: type[Payload], payload: Any) -> Payload:
    try:
        return expected.__pydantic_validator__.validate_python(payload)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise InvalidEvent(*reasons(error, "payload")) from None


def _check_time(timestamp: datetime, *, now: datetime) -> None:
    if timestamp > now + MAX_AHEAD:
        raise InvalidEvent("timestamp: must not be more than five minutes ahead")
    if timestamp < EARLIEST:
        raise InvalidEvent("timestamp: must not be before the year 2000")
