"""Task messages: read without trusting them, described for logs, and parked when they cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from kombu import Message, Producer
from pydantic import Field, TypeAdapter, ValidationError

from fundlyhub.processing.processor import MAX_BATCH
from fundlyhub.processing.queues import PARKED_QUEUE

_Position = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
# Celery's protocol 2: positional arguments, named ones, and what hangs on the task.
_Body = TypeAdapter(tuple[tuple[Annotated[list[_Position], Field(max_length=MAX_BATCH)]], dict[str, Any], Any])

REASON = "x-fundlyhub-reason"
QUEUE = "x-fundlyhub-queue"
PARKED_AT = "x-fundlyhub-parked-at"


@dataclass(frozen=True, slots=True)
class Errand:
    """The task that a message asks for, and the positions that it carries."""

    task: str
    positions: tuple[int, ...]


class Unreadable(Exception):
    """A message that is none of ours, or was damaged; its text says how, and quotes nothing of it."""


def read(message: Message) -> Errand:
    """What a message says. Raises Unreadable."""
    task = (message.headers or {}).get("task")
    if not isinstance(task, str):
        raise Unreadable("it names no task")
    if message.content_type != "application/json":
        raise Unreadable("it is not JSON")
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body or b"")
    try:
        (positions,), _, _ = _Body.validate_json(body)
    except ValidationError:
        raise Unreadable("its arguments are no positions") from None
    return Errand(task, tuple(positions))


def describe(positions: Sequence[int]) -> str:
    """What Flower and the logs show of a batch."""
    return f"{len(positions)} positions, {positions[0]} to {positions[-1]}" if positions else "no positions"


def park(producer: Producer, message: Message, reason: str, *, queue: str, **options: Any) -> None:
    """Keep a message as it is, with the reason, until a person looks at it. ``options`` go to the publishing."""
    headers = {key: str(message.headers[key]) for key in ("task", "id") if key in (message.headers or {})}
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
