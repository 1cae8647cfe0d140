"""The envelope: one immutable event, as services publish it and as processors receive it."""

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
from fundlyhub.events.opaque import Opaque
from fundlyhub.events.payload import CamelCase, MomentMs, Payload
from fundlyhub.events.refusal import of_one_event
from fundlyhub.events.rules import MAX_BYTES, check_json, reasons
from fundlyhub.events.secrets import secret_names
from fundlyhub.events.upcasters import upcast

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing happened before: an earlier time is a mistake."""
MAX_AHEAD = timedelta(minutes=5)
"""How far a producer's clock may be ahead of ours."""
_ID = frozenset({UUID, type(None)})
_WRITTEN = "_written"
"""Where an event keeps a payload and its JSON, which its check has made and publishing wants next."""
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
        """The event itself, which keeps the JSON that was made for this. Raises InvalidEvent."""
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
        """An event of this payload, with a new id and the time of now where none are given.

        A new id is a UUIDv7 (RFC 9562): ids of one time stand together in the log's index. Raises InvalidEvent.
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
        # Validation would find nothing to change but in the metadata, and cost three times as much as all of this.
        text = checked_json(payload)
        if metadata is not None:
            values["metadata"] = _checked_metadata(metadata)
        return cls._made(values)._within_limits(now, text)

    @classmethod
    @of_one_event
    def stored(cls, row: StoredEvent) -> Event:
        """The event in a row of the log, brought up to the newest version of its type and checked.

        Raises InvalidEvent, UnknownEventType or UnknownVersion.
        """
        kind, version, current = _reading(row.type, row.version)  # an unknown version is told from a wrong payload
        _check_time(row.occurred_at, now=row.recorded_at)
        payload, metadata = decode(row.payload), decode(row.metadata, "metadata")
        if version != current.event_version:
            version, payload = upcast(kind, version, payload)
        # The envelope's columns have their types from the database: only the payload needs checking.
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
    def _made(cls, values: dict[str, Any]) -> Self:
        """All fields as they are: pydantic's ``model_construct``, without its look-up of aliases and defaults."""
        event = cls.__new__(cls)
        _put(event, "__dict__", values)
        _put(event, "__pydantic_fields_set__", _ALL_FIELDS)
        _put(event, "__pydantic_extra__", None)
        _put(event, "__pydantic_private__", None)
        return event

    def placed(self, position: int, timestamp: datetime | None = None) -> Self:
        """The same event at its place in the log, with the time that it has there."""
        values = {**self.__dict__, "position": position}
        values.pop(_WRITTEN, None)  # it has been written
        if timestamp is not None:
            values["timestamp"] = timestamp
        return self._made(values)

    @property
    @of_one_event
    def payload_json(self) -> bytes:
        """The payload as it stands in the log: UTF-8 JSON, money as numbers."""
        payload, text = self.__dict__.get(_WRITTEN, _NOTHING)
        # A copy has what was kept, but may have another payload.
        return text if payload is self.payload else dumps(self.payload.to_wire())

    @property
    @of_one_event
    def metadata_json(self) -> bytes:
        """The metadata as it stands in the log: UTF-8 JSON."""
        return dumps(self.metadata) if self.metadata else b"{}"

    @property
    @of_one_event
    def aggregate_type(self) -> str | None:
        """The kind of thing that the event is about."""
        return self.payload.aggregate_kind

    @property
    @of_one_event
    def aggregate_id(self) -> str | None:
        """The id of the thing that the event is about."""
        id_ = self.payload.aggregate_id
        if id_ is not None:
            if not isinstance(id_, str):
                raise InvalidEvent("aggregateId: must be a text")
            if not id_.isascii() or "\0" in id_:
                check_json(id_, path="aggregateId")
        return id_

    @of_one_event
    def payload_wire(self) -> dict[str, Any]:
        """What it says, by the keys of the wire."""
        return self.payload.to_wire()

    @of_one_event
    def to_envelope(self) -> dict[str, Any]:
        """The platform's JSON form, as Python values; what is absent is left out."""
        return {key: value for key, value in self.model_dump(by_alias=True).items() if value is not None}


_put = object.__setattr__  # a frozen model's own refuses
_ALL_FIELDS = set(Event.model_fields)
"""Of an event that was read; all of them share it, as nothing changes the fields of an event."""


@lru_cache(maxsize=1_000)
def _reading(type: str, version: str) -> tuple[str, str, type[Payload]]:
    """Type and version in their canonical form, and the payload class of the type's newest version.

    Raises InvalidEvent, UnknownEventType or UnknownVersion.
    """
    kind, version = canonical_type(type), canonical_version(version)
    payload_class(kind, version)
    return kind, version, CURRENT[kind]


def _prepared(data: Any) -> Any:
    """The envelope with its type and version in their canonical form, and its payload checked."""
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
        "metadata": _checked_metadata(data.get("metadata")),
    }


def _has_exact_types(values: Mapping[str, Any]) -> bool:
    """Whether the envelope's values are already what validation would make of them, the metadata apart."""
    timestamp = values["timestamp"]
    return (
        PAYLOADS.get((values["type"], values["version"])) is type(values["payload"])
        and type(timestamp) is datetime
        and timestamp.tzinfo is UTC
        and _ID.issuperset(map(type, (values["id"], values["correlation_id"], values["causation_id"])))
    )


def _checked_metadata(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidEvent("metadata: must be an object")
    check_json(metadata, path="metadata")
    secrets = secret_names(None)
    return {key: value for key, value in metadata.items() if key not in secrets}


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
