"""Troubles: what the readings say is wrong, each in a plain sentence, and where it is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fundlyhub.processing.queues import DEAD_QUEUE, PARKED_QUEUE

Where = Literal[
    "relay",
    "queues",
    "processors",
    "dead letters",
    "quarantine",
    "breakers",
    "messages",
    "delivery reports",
    "streams",
    "servers",
]
LATE = 60.0
"""Seconds after which something is late."""

Numbers = Mapping[str, Mapping[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong. An urgent one holds events up or leaves them undone; the others wait for a decision."""

    where: Where
    sentence: str
    is_urgent: bool = True
    processor: str | None = None


def troubles(numbers: Numbers, missing: Mapping[str, str]) -> list[Trouble]:
    """What is wrong, urgent things first.

    ``numbers`` are samples of ``readings.sources`` by metric and labels; ``missing`` names sources that did not answer.
    """
    servers = [Trouble("servers", f"{source} does not answer: {reason}") for source, reason in missing.items()]
    found = [*servers, *(one for look in _LOOKS for one in look(numbers))]
    return sorted(found, key=lambda one: not one.is_urgent)


def _relay(numbers: Numbers) -> Iterator[Trouble]:
    if numbers.get("fundlyhub_relay_leaders", {}).get((), 1) == 0:
        yield Trouble("relay", "No relay leads, so no event reaches a queue: start `fundlyhub relay`.")
    seconds = numbers.get("fundlyhub_relay_lag_seconds", {}).get((), 0)
    if seconds > LATE:
        events = numbers.get("fundlyhub_relay_lag_events", {}).get((), 0)
        yield Trouble("relay", f"{events:,.0f} events are not relayed, the oldest for {seconds:,.0f} s.")


def _queues(numbers: Numbers) -> Iterator[Trouble]:
    waiting = numbers.get("fundlyhub_queue_messages", {})
    for (queue,), consumers in numbers.get("fundlyhub_queue_consumers", {}).items():
        if not consumers and queue != "rebuilds":
            yield Trouble("queues", f"No worker consumes the queue {queue}.")
        elif not consumers and waiting.get((queue,)):
            yield Trouble("queues", "A rebuild waits: no worker consumes the queue rebuilds.", is_urgent=False)
    for queue in (PARKED_QUEUE, DEAD_QUEUE):
        if messages := waiting.get((queue,)):
            yield Trouble("queues", f"{messages:,.0f} messages of {queue} were given up or cannot be read.", False)


def _processors(numbers: Numbers) -> Iterator[Trouble]:
    paused = numbers.get("fundlyhub_processor_paused", {})
    for (name, kind), is_paused in paused.items():
        if is_paused and kind == "burst":
            yield Trouble("processors", f"{name} has paused itself: its events fail alike.", processor=name)
        elif is_paused:
            yield Trouble("processors", f"{name} is paused by hand.", is_urgent=False, processor=name)
    for (name,), blocked in numbers.get("fundlyhub_events_blocked", {}).items():
        if blocked:
            text = f"{blocked:,.0f} events wait for {name}, whose database lacks something: see its waiting events."
            yield Trouble("processors", text, processor=name)
    held = {name for (name, _), is_paused in paused.items() if is_paused}
    events = numbers.get("fundlyhub_events_waiting", {})
    for (name,), seconds in numbers.get("fundlyhub_events_waiting_seconds", {}).items():
        if seconds > LATE and name not in held:
            waiting = events.get((name,), 0)
            yield Trouble(
                "processors", f"{waiting:,.0f} events wait for {name}, the oldest for {seconds:,.0f} s.", processor=name
            )


def _letters(numbers: Numbers) -> Iterator[Trouble]:
    by_processor: dict[str, float] = {}
    for (name, _), letters in numbers.get("fundlyhub_dead_letters_open", {}).items():
        by_processor[name] = by_processor.get(name, 0) + letters
    for name, letters in by_processor.items():
        yield Trouble("dead letters", f"{letters:,.0f} dead letters of {name} wait for a decision.", False, name)
    for (stream,), entries in numbers.get("fundlyhub_quarantine_open", {}).items():
        yield Trouble("quarantine", f"{entries:,.0f} entries of the stream {stream} are no valid events.", False)


def _services(numbers: Numbers) -> Iterator[Trouble]:
    for (service, state), is_it in numbers.get("fundlyhub_breaker_state", {}).items():
        if is_it and state != "closed":
            yield Trouble("breakers", f"{service} is not called: its circuit breaker is {state}.")
    for (stream,), seconds in numbers.get("fundlyhub_ingest_lag_seconds", {}).items():
        if seconds > LATE:
            yield Trouble("streams", f"The stream {stream} is not read: its oldest entry waits for {seconds:,.0f} s.")


def _messages(numbers: Numbers) -> Iterator[Trouble]:
    for (channel, state), messages in numbers.get("fundlyhub_messages_open", {}).items():
        if messages and state == "unknown":
            text = f"{messages:,.0f} messages by {channel} may or may not have gone out: a person decides."
            yield Trouble("messages", text, is_urgent=False)
    if failed := numbers.get("fundlyhub_delivery_reports_failed", {}).get((), 0):
        yield Trouble("delivery reports", f"{failed:,.0f} delivery reports cannot be applied.", is_urgent=False)
    if refused := numbers.get("fundlyhub_search_documents_refused", {}).get((), 0):
        yield Trouble("servers", f"Elasticsearch refused {refused:,.0f} documents, and does not find them.", False)


_LOOKS: tuple[Callable[[Numbers], Iterator[Trouble]], ...] = (
    _relay, _queues, _processors, _letters, _services, _messages,
)  # fmt: skip
