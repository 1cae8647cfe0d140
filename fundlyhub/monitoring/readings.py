"""Readings for the metrics: log, processors, queues, breakers, messages, search and streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, get_args

import psycopg

from fundlyhub.channels.breaker import SERVICES, Breaker
from fundlyhub.channels.breaker.redis_storage import RedisStorage
from fundlyhub.channels.breaker.state import CLOSED, HALF_OPEN, OPEN, State
from fundlyhub.channels.messages import CHANNELS
from fundlyhub.events.log import head
from fundlyhub.monitoring.blocked import blocked
from fundlyhub.monitoring.claims import FINE, SLICE, Claims
from fundlyhub.monitoring.connections import Connections
from fundlyhub.monitoring.waiting import Log
from fundlyhub.processing.pauses import IN_FORCE, Kind
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.queues import DEAD_QUEUE, PARKED_QUEUE, QUEUES, seen
from fundlyhub.relay.leader import leader
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import Branch, Settings
from fundlyhub.streams.ingest import stream_names
from fundlyhub.streams.status import stream_status

RECOUNT = 0.5
"""Seconds of each reading for recounting older claims of a database."""
BREAKER_STATES = (CLOSED, HALF_OPEN, OPEN, "open by hand")

_ATTEMPTS = """
    SELECT processor, count(*) FILTER (WHERE attempts > 0), count(*) FILTER (WHERE attempts <= 0),
           coalesce(extract(epoch FROM clock_timestamp() - min(first_seen) FILTER (WHERE attempts > 0)), 0)::float8
    FROM events.attempts GROUP BY processor
"""
_DEAD = "SELECT processor, type, count(*) FROM events.dead_letters WHERE state = 'open' GROUP BY processor, type"
_QUARANTINE = "SELECT stream, count(*) FROM events.quarantine WHERE state = 'open' GROUP BY stream"
# The states in the indexes of open and held messages: settled messages are too many to count.
_MESSAGES = """
    SELECT channel, state, count(*) FROM notifications
    WHERE state IN ('queued', 'sending', 'failed', 'unknown') GROUP BY channel, state
    UNION ALL SELECT channel, 'held', count(*) FROM notifications WHERE state = 'held' GROUP BY channel
"""

_REPORTS = """
    SELECT count(*) - count(failed_at), count(failed_at),
           coalesce(extract(epoch FROM clock_timestamp() - min(received_at) FILTER (WHERE failed_at IS NULL)), 0)::float
    FROM delivery_reports WHERE discarded_at IS NULL
"""
# Nobody has looked at it for an hour after it was due, or it was closed an hour ago and is not sent yet.
_DIGESTS = """
    SELECT channel, count(*) FILTER (WHERE least(due_at, closed_at) < clock_timestamp() - interval '1 hour')
    FROM digests WHERE settled_at IS NULL GROUP BY channel
"""
_DOCUMENTS = """
    SELECT (SELECT count(*) FROM search_documents WHERE version > sent_version),
           (SELECT count(*) FROM search_documents WHERE refused IS NOT NULL)
"""


class Sample(NamedTuple):
    """One sample of a metric; ``labels`` are the labels' values in order."""

    metric: str
    labels: tuple[str, ...]
    value: float


Source = Callable[[], list[Sample]]


def sources(settings: Settings, processors: Mapping[str, type[Processor]], *, keep: bool = False) -> dict[str, Source]:
    """The configured sources by name; each connects, reads and disconnects, or with ``keep`` stays connected.

    Raises WrongUse if a setting is missing.
    """
    connections = Connections(settings, keep=keep)
    found: dict[str, Source] = {"log": partial(_listed, _log, connections, list(processors))}
    for branch in sorted({processor.database for processor in processors.values()}):
        settings.dsn(branch)
        ours = {name: processor for name, processor in processors.items() if processor.database == branch}
        claims = Claims(list(ours), FINE if keep else SLICE)
        found[f"{branch}_processors"] = partial(_listed, _processors, connections, branch, ours, claims, keep)
    settings.dsn("events")
    settings.broker  # noqa: B018  # a missing URL is wrong use
    if settings.search_backend == "elasticsearch":
        found["search"] = partial(_listed, _search, connections)
    found["messages"] = partial(_listed, _messages, connections)
    found["queues"] = partial(_listed, _queues, settings, connections)
    if settings.redis_url is not None:
        breakers = {service: Breaker(service, RedisStorage(service, settings.redis)) for service in SERVICES}
        found["breakers"] = partial(_listed, _breakers, breakers)
    if settings.streams_url is not None or settings.redis_url is not None:
        found["streams"] = partial(_listed, _streams, settings, connections, stream_names(settings))
    return found


def _listed(read: Callable[..., Iterator[Sample]], *args: Any) -> list[Sample]:
    return list(read(*args))


def _log(connections: Connections, names: list[str]) -> Iterator[Sample]:
    """The log, the relay, attempts, pauses, dead letters and quarantine."""
    with connections.open("events") as db:
        yield Sample("fundlyhub_log_head_position", (), head(db))
        yield Sample("fundlyhub_relay_leaders", (), int(leader(db, "main") is not None))
        lag = relay_lag(db)
        yield Sample("fundlyhub_relay_lag_events", (), lag["lag_events"])
        yield Sample("fundlyhub_relay_lag_seconds", (), lag["lag_seconds"])
        attempts = {name: counts for name, *counts in _rows(db, _ATTEMPTS)}
        for name in dict.fromkeys((*names, *attempts)):
            retrying, snoozed, oldest = attempts.get(name, (0, 0, 0.0))
            yield Sample("fundlyhub_events_retrying", (name,), retrying)
            yield Sample("fundlyhub_events_retrying_seconds", (name,), max(0.0, oldest))
            yield Sample("fundlyhub_events_snoozed", (name,), snoozed)
        stopped = blocked(db)
        for name in dict.fromkeys((*names, *stopped)):
            yield Sample("fundlyhub_events_blocked", (name,), stopped[name].events if name in stopped else 0)
        paused = {(name, kind) for name, kind, _ in _rows(db, IN_FORCE)}
        for name in names:
            for kind in get_args(Kind):
                yield Sample("fundlyhub_processor_paused", (name, kind), int((name, kind) in paused))
        for name, kind, letters in _rows(db, _DEAD):
            yield Sample("fundlyhub_dead_letters_open", (name, kind), letters)
        for stream, entries in _rows(db, _QUARANTINE):
            yield Sample("fundlyhub_quarantine_open", (stream,), entries)


def _processors(
    connections: Connections, branch: Branch, processors: Mapping[str, type[Processor]], claims: Claims, keep: bool
) -> Iterator[Sample]:
    """Applied and waiting events of the processors of one database."""
    with (
        connections.open("events") as db,
        connections.open(branch) as effects,
    ):
        seconds = 0.0 if keep and claims.is_whole else RECOUNT
        for name, events in (claims.read(effects, seconds) or {}).items():
            yield Sample("fundlyhub_events_applied", (name,), events)
        log = Log(db, effects, processors.values())
        for name, processor in processors.items():
            waiting = log.waiting(processor)
            yield Sample("fundlyhub_events_waiting", (name,), waiting.events)
            yield Sample("fundlyhub_events_waiting_seconds", (name,), waiting.oldest)


def _messages(connections: Connections) -> Iterator[Sample]:
    with connections.open("app") as db:
        none_held = dict.fromkeys(((channel, "held") for channel in CHANNELS), 0)  # an alert compares with an hour ago
        found = {(channel, state): messages for channel, state, messages in _rows(db, _MESSAGES)}
        for labels, messages in (none_held | found).items():
            yield Sample("fundlyhub_messages_open", labels, messages)
        ((waiting, failed, oldest),) = _rows(db, _REPORTS)
        yield Sample("fundlyhub_delivery_reports_waiting", (), waiting)
        yield Sample("fundlyhub_delivery_reports_waiting_seconds", (), oldest)
        yield Sample("fundlyhub_delivery_reports_failed", (), failed)
        overdue = dict(_rows(db, _DIGESTS))
        for channel in CHANNELS:
            yield Sample("fundlyhub_digests_overdue", (channel,), overdue.get(channel, 0))


def _search(connections: Connections) -> Iterator[Sample]:
    with connections.open("analytics") as db:
        ((waiting, refused),) = _rows(db, _DOCUMENTS)
    yield Sample("fundlyhub_search_documents_waiting", (), waiting)
    yield Sample("fundlyhub_search_documents_refused", (), refused)


def _queues(settings: Settings, connections: Connections) -> Iterator[Sample]:
    names = [*QUEUES, PARKED_QUEUE, *([DEAD_QUEUE] if settings.broker_is_amqp else [])]
    with connections.broker() as connection:
        for queue, found in seen(connection, settings.broker_is_amqp, names).items():
            yield Sample("fundlyhub_queue_messages", (queue,), found.messages)
            if queue in QUEUES:
                yield Sample("fundlyhub_queue_consumers", (queue,), found.consumers)


def _breakers(breakers: Mapping[str, Breaker]) -> Iterator[Sample]:
    for service, breaker in breakers.items():
        state = breaker.look()[0].state
        for label in BREAKER_STATES:
            yield Sample("fundlyhub_breaker_state", (service, label), int(label == state.label))
        yield Sample("fundlyhub_breaker_state_seconds", (service,), _age(state))


def _age(state: State) -> float:
    return 0.0 if state.since is None else max(0.0, time.time() - state.since)


def _streams(settings: Settings, connections: Connections, names: list[str]) -> Iterator[Sample]:
    with connections.streams() as client:
        for one in stream_status(client, names, settings.ingest_group):
            stream = (one["stream"],)
            if one["lag"] is not None:  # the server cannot always tell
                yield Sample("fundlyhub_ingest_lag_entries", stream, one["lag"])
            yield Sample("fundlyhub_ingest_pending_entries", stream, one["pending"])
            yield Sample("fundlyhub_ingest_lag_seconds", stream, one["lag_seconds"])


def _rows(db: psycopg.Connection[Any], query: Any) -> list[tuple[Any, ...]]:
    return db.execute(query).fetchall()
