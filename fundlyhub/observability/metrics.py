"""Counters and timers of this process for its own Prometheus endpoint; off unless a port is set.

An event is counted after the commit that ends its run, so that no number is ahead of the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze, Transient, WrongUse
from fundlyhub.events.catalogue import VERSIONS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
_TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


Role = Literal["relay", "worker", "ingest"]


class Number(NamedTuple):
    """A metric: the role that counts it, kind, help text, labels and histogram buckets."""

    role: Role
    kind: Literal["counter", "histogram", "gauge"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = ()


METRICS: Mapping[str, Number] = {
    "fundlyhub_worker_processes": Number("worker", "gauge", "Living processes of the worker."),
    "fundlyhub_worker_events": Number(
        "worker", "counter", "Runs of events by their outcome.", ("processor", "type", "outcome")
    ),
    "fundlyhub_worker_batch_events": Number("worker", "histogram", "Events in a message.", ("processor",), _SIZES),
    "fundlyhub_worker_handler_seconds": Number("worker", "histogram", "Time of its handler.", ("processor",), _TIMES),
    "fundlyhub_worker_commit_seconds": Number("worker", "histogram", "Time of the commit.", ("processor",), _TIMES),
    "fundlyhub_provider_call_seconds": Number("worker", "histogram", "Time of a call.", ("service", "result"), _TIMES),
    "fundlyhub_breaker_changes": Number("worker", "counter", "State changes by this process.", ("service", "state")),
    "fundlyhub_relayed_events": Number("relay", "counter", "Events relayed, also without a processor.", ("type",)),
    "fundlyhub_relayed_messages": Number("relay", "counter", "Messages that were published.", ("processor",)),
    "fundlyhub_ingested_entries": Number("ingest", "counter", "Stream entries by their result.", ("result",)),
}  # fmt: skip
"""Every metric by its name; Prometheus adds ``_total`` to that of a counter."""

_made: dict[str, Any] = {}


def enable(role: Role, *, in_files: bool = False) -> CollectorRegistry:
    """Start counting and return the registry; ``in_files`` is for a process with children, which count in files.

    Raises WrongUse when the extra is not installed.
    """
    try:
        import prometheus_client as client
        from prometheus_client import values
    except ImportError:
        raise WrongUse('FUNDLYHUB_METRICS_PORT needs an extra: pip install "fundlyhub[metrics]"') from None
    if in_files:  # the client chooses at import, and Flower's command has imported it already
        values.ValueClass = values.MultiProcessValue()
    registry = client.CollectorRegistry()
    for name, number in ((name, number) for name, number in METRICS.items() if number.role == role):
        if number.kind == "counter":
            _made[name] = client.Counter(name, number.text, number.labels, registry=registry)
        elif number.kind == "histogram":
            _made[name] = client.Histogram(name, number.text, number.labels, registry=registry, buckets=number.buckets)
        else:
            _made[name] = client.Gauge(name, number.text, registry=registry, multiprocess_mode="livesum")
    return registry


def begun() -> None:
    """Count this process as a living worker process."""
    if number := _made.get("fundlyhub_worker_processes"):
        number.set(1)


def batch(processor: str, events: int) -> None:
    """Count a task message and the number of its events."""
    if number := _made.get("fundlyhub_worker_batch_events"):
        number.labels(processor).observe(events)


def ran(processor: str, handler: float, commit: float) -> None:
    """Record the seconds of a processor's code and of the commit after it."""
    if number := _made.get("fundlyhub_worker_handler_seconds"):
        number.labels(processor).observe(handler)
        _made["fundlyhub_worker_commit_seconds"].labels(processor).observe(commit)


def settled(processor: str, ends: Iterable[tuple[str, str]]) -> None:
    """Count committed runs of events: type and outcome of each."""
    if number := _made.get("fundlyhub_worker_events"):
        for (kind, outcome), events in Counter(ends).items():
            number.labels(processor, _known(kind), outcome).inc(events)


def _known(kind: str) -> str:
    """A type as a label; a type outside the catalogue is "other", which bounds the number of labels."""
    return kind if kind in VERSIONS else "other"


def called(service: str, error: BaseException | None, seconds: float) -> None:
    """Record a call of an outside service and its result."""
    if number := _made.get("fundlyhub_provider_call_seconds"):
        number.labels(service, _result(error)).observe(seconds)


def _result(error: BaseException | None) -> str:
    if error is None:
        return "accepted"
    for kind, word in ((OutcomeUnknown, "unknown"), (Permanent, "refused"), (Snooze, "not now"), (Transient, "failed")):
        if isinstance(error, kind):
            return word
    return "unknown"


def breaker(service: str, state: str) -> None:
    """Count a change of a breaker that a call of this process caused."""
    if number := _made.get("fundlyhub_breaker_changes"):
        number.labels(service, state).inc()


def relayed(kinds: Iterable[str], processors: Iterable[str]) -> None:
    """Count relayed events by type, and their messages by processor."""
    if number := _made.get("fundlyhub_relayed_events"):
        for kind, events in Counter(map(_known, kinds)).items():
            number.labels(kind).inc(events)
        for processor, messages in Counter(processors).items():
            _made["fundlyhub_relayed_messages"].labels(processor).inc(messages)


def ingested(**entries: int) -> None:
    """Count committed stream entries by their result."""
    if number := _made.get("fundlyhub_ingested_entries"):
        for result, count in entries.items():
            number.labels(result).inc(count)
