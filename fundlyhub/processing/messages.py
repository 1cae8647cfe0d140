"""Task messages: read without trusting them, described for logs, and parked when they cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from kombu import Message, Producer, compression
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from fundlyhub.processing.processor import MAX_BATCH
from fundlyhub.processing.queues import PARKED_QUEUE

MAX_BODY = 64 * 1024
"""Bytes of a body at most: a full batch with its options takes 45 KB."""
LONGEST_DELAY = timedelta(hours=1)
"""How far ahead a message may be due; until then it stays in a worker's memory. Ours wait for a minute at most."""

_Position = Annotated[int, Field(strict=True, ge=1, lt=2**63)]


class _Options(BaseModel):
    processors: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)] = []


# Celery's protocol 2: positional arguments, named ones, and other tasks to run afterwards, of which we have none.
_Body = TypeAdapter(
    tuple[tuple[Annotated[list[_Position], Field(max_length=MAX_BATCH)]], _Options, dict[str, None] | None]
)
_Id = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]


def _soon(due: datetime) -> datetime:
    if due > datetime.now(UTC) + LONGEST_DELAY:
        raise ValueError("too late")
    return due


class _Headers(BaseModel):
    """Celery's headers, as far as a worker obeys them; ``timelimit`` is taken out by the worker instead."""

    task: Annotated[str, Field(pattern=r"^[\w.]{1,200}$")]
    id: _Id
    root_id: _Id | None = None
    parent_id: _Id | None = None
    group: None = None
    shadow: None = None
    retries: Annotated[int, Field(strict=True, ge=0, le=MAX_BATCH)] | None = None
    eta: Annotated[AwareDatetime, AfterValidator(_soon)] | None = None
    expires: AwareDatetime | None = None


PROCESSORS = "processors"
"""The argument of a shared message that names those that it is for."""
REASON = "x-fundlyhub-reason"
QUEUE = "x-fundlyhub-queue"
PARKED_AT = "x-fundlyhub-parked-at"

DELIVERIES = "x-delivery-count"
"""RabbitMQ's header on a message of a quorum queue: how often it was delivered in vain, to be looked at too."""
WORN = 10
"""Deliveries after which a message is written anew. RabbitMQ 4 drops it after 20, if its queue names no other limit."""


@dataclass(frozen=True, slots=True)
class Errand:
    """The task that a message asks for, and the positions that it carries."""

    task: str
    positions: tuple[int, ...]
    processors: tuple[str, ...] = ()
    """Of a shared message: the names of those that it is for."""


class Unreadable(Exception):
    """A message that is none of ours, or was damaged; its text says how, and quotes nothing of it."""


def expand_nothing() -> None:
    """Let this process refuse compressed messages: kombu expands them, without a limit, before anybody sees them.

    None of ours is compressed. It concerns all of the process, so only our own processes call it.
    """
    for kind in compression.encoders():
        encoder, _ = compression.get_encoder(kind)
        compression.register(encoder, _refuse_to_expand, kind)


def _refuse_to_expand(body: Any) -> bytes:
    raise Unreadable("it is compressed")


def take(channel: Any, queue: str) -> Message | None:
    """The next message of a queue as it is; kombu's own way raises what its decoding has raised, again and again."""
    message = channel.basic_get(queue=queue)
    return (
        channel.message_to_python(message) if message is not None and hasattr(channel, "message_to_python") else message
    )


def put_back(producer: Producer, message: Message, queue: str, **options: Any) -> None:
    """Leave a message in its queue; one that was looked at often is written anew, at the end of the queue."""
    if is_worn(message):
        renew(producer, message, queue, **options)
    else:
        message.requeue()


def is_worn(message: Message) -> bool:
    """Whether a message was delivered so often that its broker might drop it soon."""
    deliveries = (message.headers or {}).get(DELIVERIES)
    return isinstance(deliveries, int) and deliveries >= WORN


def renew(producer: Producer, message: Message, queue: str, **options: Any) -> None:
    """Write a message anew into its queue, and remove it when the broker has the copy. ``options``: of the publishing.

    A crash in between leaves two of them.
    """
    producer.publish(
        message.body or b"",
        exchange="",
        routing_key=queue,
        headers={name: value for name, value in (message.headers or {}).items() if name != DELIVERIES},
        content_type=message.content_type or "application/octet-stream",
        content_encoding=message.content_encoding or "binary",
        delivery_mode=2,
        **options,
    )
    message.ack()


def read(message: Message) -> Errand:
    """What a message says. Raises Unreadable."""
    headers = message.headers or {}
    if not isinstance(headers.get("task"), str):
        raise Unreadable("it names no task")
    try:
        task = _Headers.model_validate(headers).task
    except ValidationError as error:
        wrong = sorted({str(fault["loc"][0]) for fault in error.errors(include_input=False, include_context=False)})
        raise Unreadable(f"its headers are not ours: {', '.join(wrong)}") from None
    if message.content_type != "application/json":
        raise Unreadable("it is not JSON")
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
    if len(body) > MAX_BODY:
        raise Unreadable(f"it has more than {MAX_BODY} bytes")
    try:
        (positions,), options, _ = _Body.validate_json(body)
    except ValidationError:
        raise Unreadable("its arguments are not positions alone") from None
    return Errand(task, tuple(positions), tuple(options.processors))


def describe(positions: Sequence[int]) -> str:
    """What Flower and the logs show of a batch."""
    return f"{len(positions)} positions, {positions[0]} to {positions[-1]}" if positions else "no positions"


def park(producer: Producer, message: Message, reason: str, *, queue: str, **options: Any) -> None:
    """Keep a message as it is, with the reason, until a person looks at it. ``options`` go to the publishing."""
    headers = {key: str(message.headers[key])[:255] for key in ("task", "id") if key in (message.headers or {})}
    producer.publish(
        message.body or b"",
        exchange="",
        routing_key=PARKED_QUEUE,
        headers={**headers, REASON: reason, QUEUE: queue, PARKED_AT: datetime.now(UTC).isoformat(timespec="seconds")},
        content_type=message.content_type or "application/octet-stream",
        content_encoding=message.content_encoding or "binary",
        delivery_mode=2,
        **options,
    )
