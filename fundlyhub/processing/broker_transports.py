"""kombu's transports, in which no message ends the process that reads it.

kombu and py-amqp parse headers and envelopes by recursion, before any code of ours sees the message. One that is nested
without end, or is no envelope at all, would end each worker that takes it up, one after the other. Here it becomes a
message without headers, which is refused and parked like any other that is not ours.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import amqp
import orjson
from amqp import method_framing
from kombu.transport import TRANSPORT_ALIASES, pyamqp, redis
from pydantic import BaseModel, Field, ValidationError

_HEADER_FRAME = 2
_FIXED = 12
"""Bytes of a header frame before the properties: class, weight, and the body's size."""
_DEEPEST = 100
"""Levels of headers that are read; ours have four. Celery pickles them for its children, which recurses too."""
_SHALLOW = 5 * _DEEPEST
"""Bytes of a header frame that holds no more levels than that: one takes five bytes at least."""
_NO_PROPERTIES = b"\0\0"

Frame = tuple[int, int, Any]


def _frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], Any]:
    """py-amqp's own, for frames whose properties can be read."""
    on_frame = method_framing.frame_handler(connection, callback)

    def guarded(frame: Frame) -> Any:
        kind, channel, payload = frame
        if kind == _HEADER_FRAME and len(payload) > _SHALLOW and not _can_be_read(payload):
            frame = (kind, channel, bytes(payload[:_FIXED]) + _NO_PROPERTIES)
        return on_frame(frame)

    return guarded


def _can_be_read(payload: Any) -> bool:
    message = amqp.Message()
    try:
        message.inbound_header(payload)
    except RecursionError:
        return False
    level = [message.properties]
    for _ in range(_DEEPEST):
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one) if _nests(child)]
    return not level


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list)


class _Connection(pyamqp.Connection):  # type: ignore[misc]
    """A connection to RabbitMQ."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frame_handler=_frame_handler, **options)


class AmqpTransport(pyamqp.Transport):  # type: ignore[misc]
    """kombu's for RabbitMQ."""

    Connection = _Connection


class AmqpsTransport(pyamqp.SSLTransport):  # type: ignore[misc]
    """The same over TLS."""

    Connection = _Connection


class _DeliveryInfo(BaseModel):
    exchange: str
    routing_key: str


class _Properties(BaseModel):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"] | None = None


class _Envelope(BaseModel):
    """What kombu reads of an envelope on Redis. pydantic's parser goes 200 levels deep at most."""

    body: str
    properties: _Properties
    headers: dict[str, Any] | None = None
    content_type: str | None = Field(None, alias="content-type")
    content_encoding: str | None = Field(None, alias="content-encoding")


def _is_envelope(item: bytes) -> bool:
    try:
        found = _Envelope.model_validate_json(item)
        if found.properties.body_encoding:
            base64.b64decode(found.body)
    except (ValidationError, binascii.Error, UnicodeError):
        return False
    return True


def _wrapped(item: bytes, queue: str) -> bytes:
    """An envelope around what is none, so that the worker refuses and parks it."""
    return orjson.dumps({
        "body": base64.b64encode(item).decode(),
        "headers": {},
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_mode": 2,
            "priority": 0,
        },
    })  # fmt: skip


@cache
def _guarded(client: type[Any]) -> type[Any]:
    """A client of Redis that wraps what it takes out of a queue, unless that is an envelope."""

    class Client(client):  # type: ignore[misc, unused-ignore]
        def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
            answer = super().parse_response(connection, command_name, **options)
            if answer and command_name == "BRPOP":
                queue, item = answer
                return answer if _is_envelope(item) else [queue, _wrapped(item, queue.decode("utf-8", "replace"))]
            if answer and command_name == "RPOP":
                return answer if _is_envelope(answer) else _wrapped(answer, "")
            return answer

    return Client


class _Channel(redis.Channel):  # type: ignore[misc]
    """A channel on Redis."""

    def _get_client(self) -> Any:
        return _guarded(super()._get_client())

    def _handle_message(self, client: Any, r: Any) -> Any:
        """What was sent to all, such as remote control: what is no envelope is left out."""
        payload = super()._handle_message(client, r)
        if isinstance(payload["data"], bytes) and not _is_envelope(payload["data"]):
            payload["data"] = b""
        return payload


class RedisTransport(redis.Transport):  # type: ignore[misc]
    """kombu's for Redis and Valkey."""

    Channel = _Channel


def guard_transports() -> None:
    """Let this process read messages of these brokers through the classes above; before it connects."""
    for name, cls in (
        ("amqp", AmqpTransport),
        ("amqps", AmqpsTransport),
        ("redis", RedisTransport),
        ("rediss", RedisTransport),
    ):
        TRANSPORT_ALIASES[name] = f"{__name__}:{cls.__name__}"
