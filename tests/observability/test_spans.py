"""The spans of publishing, relaying and processing: whose they are, what they tell, and what they do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, TraceState
from sqlalchemy import Connection

from fundlyhub import Event, publish_event, publish_event_async, publish_events
from fundlyhub.database import connect
from fundlyhub.observability.tracing import relaying
from fundlyhub.observability.tracing.spans import MOST
from fundlyhub.processing.executor import Outage, execute
from fundlyhub.settings import Settings
from tests.support.make import initiated, search
from tests.support.processors import TABLES, TestCountProcessor
from tests.support.spans import Recorded, links, parent, place, recording, request

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STATE = "vendor=one,tenant@other=2"


@pytest.fixture
def spans() -> Iterator[Recorded]:
    """Tracing is on."""
    with recording() as recorded:
        yield recorded


@pytest.fixture
def db(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """The test's database, with the tables of its processors."""
    with connect("events", autocommit=True) as connection:
        connection.execute(TABLES)
        yield connection


class TestCutOffProcessor(TestCountProcessor, register=False):
    """Loses its database."""

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Its connection is ended by the server."""
        db.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def traced(word: str = "fine") -> tuple[int, tuple[int, int]]:
    """An event that a request of its own publishes: its position, and the place of the publishing's span."""
    with request():
        event = publish_event(search(word))
    _, trace_id, span_id, _ = event.metadata["traceparent"].split("-")
    return event.position or 0, (int(trace_id, 16), int(span_id, 16))


def told(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes, without our prefix."""
    return {name.removeprefix("fundlyhub."): value for name, value in (span.attributes or {}).items()}


def stored(db: psycopg.Connection[Any]) -> list[Any]:
    """The metadata of all events."""
    return [row[0] for row in db.execute("SELECT metadata FROM events.events ORDER BY position")]


def by_sql(db: psycopg.Connection[Any], metadata: str) -> int:
    """An event from another language; its position."""
    sql = "SELECT events.publish_event('search.query.submitted', '{\"query\": \"fine\"}', metadata => %s)"
    db.execute(sql, [metadata])
    row = db.execute("SELECT max(position) FROM events.events").fetchone()
    assert row is not None
    return int(row[0])


class TestPublishing:
    def test_the_context_of_its_span_is_stored_with_the_event(
        self, spans: Recorded, db: psycopg.Connection[Any]
    ) -> None:
        with request() as caller:
            event = publish_event(search("fine"), metadata={"source": "web"})
        span = spans.one("publish search.query.submitted")
        assert parent(span) == place(caller)
        trace_id, span_id = place(span)
        sampled = f"00-{trace_id:032x}-{span_id:016x}-03"  # and random
        assert stored(db) == [{"source": "web", "traceparent": sampled}]
        assert event.metadata == stored(db)[0]
        assert told(span) == {"event.id": str(event.id), "event.type": event.type}

    def test_every_door_does_so_and_many_events_share_one_span(
        self, spans: Recorded, db: psycopg.Connection[Any], settings: Settings
    ) -> None:
        async def asynchronously() -> None:
            async with await psycopg.AsyncConnection.connect(settings.dsn("events")) as connection:
                await publish_event_async(search("a"), session=connection)
            await publish_event_async(search("b"))

        with request() as caller:
            publish_event(search("c"), session=db)
            publish_events([search("d"), search("e")])
            asyncio.run(asynchronously())
        parents = [metadata["traceparent"] for metadata in stored(db)]
        trace_id = place(caller)[0]
        assert all(one.split("-")[1] == f"{trace_id:032x}" for one in parents)
        assert len(set(parents)) == 4
        assert told(spans.one("publish events")) == {"events": 2}

    def test_without_a_span_nothing_is_stored_and_a_context_that_is_given_stays(
        self, spans: Recorded, db: psycopg.Connection[Any]
    ) -> None:
        publish_event(search("fine"))
        with request():
            publish_event(search("fine"), metadata={"traceparent": PARENT})
        assert stored(db) == [{}, {"traceparent": PARENT}]

    def test_a_service_that_only_passes_contexts_on_does_so(self, db: psycopg.Connection[Any]) -> None:
        """It has no span of its own, but knows its caller's."""
        context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0), trace_state=TraceState([("v", "1")]))
        with trace.use_span(NonRecordingSpan(context)):
            publish_event(search("fine"))
        (metadata,) = stored(db)
        assert metadata["traceparent"].startswith(f"00-{1:032x}-") and metadata["traceparent"].endswith("-00")
        assert metadata["tracestate"] == "v=1"

    def test_a_refusal_is_told_by_its_class_alone(self, spans: Recorded, db: psycopg.Connection[Any]) -> None:
        event = publish_event(search("fine"))
        with request(), pytest.raises(Exception, match="other content"):
            publish_event(Event.of(search("other"), id=event.id))
        span = spans.one("publish search.query.submitted")
        assert (told(span)["error.type"], span.status.status_code) == ("ConflictingEvent", StatusCode.ERROR)
        assert (span.status.description, span.events) == (None, ())


class TestProcessing:
    def test_an_event_alone_is_processed_in_its_trace(self, spans: Recorded, db: psycopg.Connection[Any]) -> None:
        position, published = traced()
        execute(TestCountProcessor, [position])
        span = spans.one("process test_count")
        assert parent(span) == published
        (event_id,) = db.execute("SELECT id::text FROM events.events").fetchone() or ("",)
        assert told(span) == {
            "processor": "test_count", "event.id": event_id, "event.type": "search.query.submitted",
            "event.position": position, "attempt": 1, "outcome": "done",
        }  # fmt: skip
        execute(TestCountProcessor, [position])
        assert [told(span)["outcome"] for span in spans.named("process test_count")] == ["done", "skipped"]

    def test_a_batch_of_many_traces_is_a_span_with_links_and_one_in_each_trace(
        self, spans: Recorded, db: psycopg.Connection[Any]
    ) -> None:
        (first, one), untraced, (second, other) = traced(), publish_event(search("fine")).position or 0, traced()
        execute(TestCountProcessor, [first, untraced, second])
        batch = spans.one("process test_count batch")
        assert batch.parent is None
        assert links(batch) == [one, other]
        assert told(batch) == {"processor": "test_count", "events": 3}
        for published, position in ((one, first), (other, second)):
            span = spans.one("process test_count", published[0])
            assert (parent(span), links(span)) == (published, [place(batch)])
            assert (told(span)["event.position"], told(span)["outcome"]) == (position, "done")

    def test_each_failure_is_told_in_its_own_trace_and_each_attempt_again(
        self, spans: Recorded, db: psycopg.Connection[Any]
    ) -> None:
        sent = [traced(word) for word in ("fine", "transient", "permanent")]
        positions = [position for position, _ in sent]
        execute(TestCountProcessor, positions)
        execute(TestCountProcessor, positions, ends_wait=True)
        execute(TestCountProcessor, positions, careful=True)
        ends = [[_end(span) for span in spans.named("process test_count") if parent(span) == at] for _, at in sent]
        again = [(attempt, "retry", "Transient") for attempt in (1, 2)]
        assert ends[0] == [(1, "done", None), (1, "skipped", None), (1, "skipped", None)]
        assert ends[1][:2] == again
        assert ends[2] == [(1, "dead", "Permanent")]
        for span in spans.all():
            assert (span.status.description, span.events) == (None, ())

    def test_of_a_large_batch_only_so_many_have_spans(self, spans: Recorded, db: psycopg.Connection[Any]) -> None:
        with request():
            events = publish_events([search("fine") for _ in range(MOST + 10)])
        execute(TestCountProcessor, [event.position or 0 for event in events])
        assert len(spans.named("process test_count")) == MOST
        batch = spans.one("process test_count batch")
        assert (len(links(batch)), told(batch)["events"]) == (MOST, MOST + 10)

    def test_an_outage_ends_all_spans_with_its_class(self, spans: Recorded, db: psycopg.Connection[Any]) -> None:
        positions = [traced()[0], traced()[0]]
        with pytest.raises(Outage):
            execute(TestCutOffProcessor, positions)
        ended = [*spans.named("process test_cut_off"), spans.one("process test_cut_off batch")]
        assert {told(span)["error.type"] for span in ended} == {"OperationalError"}
        assert len(ended) == 3
        assert all(span.events == () and span.status.description is None for span in ended)


@pytest.mark.parametrize(
    "metadata",
    [
        "{}",
        '{"traceparent": "nonsense"}',
        '{"traceparent": 7}',
        '{"traceparent": {"version": "00"}}',
        f'{{"traceparent": "{PARENT[:-2]}"}}',
        f'{{"traceparent": "{PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)}"}}',
        f'{{"traceparent": "{PARENT.replace("00-4", "ff-4")}"}}',
        f'{{"traceparent": "{"0" * 10_000}-01"}}',
        f'{{"traceparent": "{PARENT[:-2]}00"}}',
    ],
    ids=["none", "nonsense", "number", "object", "cut off", "zeros", "version ff", "long", "not sampled"],
)
def test_what_is_no_context_or_not_sampled_is_passed_over(
    metadata: str, spans: Recorded, db: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    position = by_sql(db, metadata)
    with relaying(db, [[position]]) as relayed:
        assert relayed is None
    assert execute(TestCountProcessor, [position]).outcomes == {"done": 1}
    assert (list(spans.all()), caplog.records) == ([], [])


def test_what_is_not_sampled_leaves_room_for_what_is(spans: Recorded, db: psycopg.Connection[Any]) -> None:
    unsampled = {"traceparent": f"{PARENT[:-2]}00"}
    events = publish_events([Event.of(search("fine"), metadata=unsampled) for _ in range(MOST)])
    position, published = traced()
    positions = [*(event.position or 0 for event in events), position]
    with relaying(db, [positions]):
        execute(TestCountProcessor, positions)
    assert [parent(spans.one(name)) for name in ("relay", "process test_count")] == [published] * 2
    assert spans.named("relay batch") == spans.named("process test_count batch") == []


@pytest.mark.parametrize("state", [STATE, "Ada Lovelace <ada@example.org>", 7], ids=["well formed", "text", "number"])
def test_another_language_gives_the_context_in_metadata(
    state: object, spans: Recorded, db: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    position = by_sql(db, json.dumps({"traceparent": PARENT, "tracestate": state}))
    execute(TestCountProcessor, [position])
    span = spans.one("process test_count")
    assert f"00-{parent(span)[0]:032x}-{parent(span)[1]:016x}-01" == PARENT
    context = span.get_span_context()
    assert context is not None
    assert context.trace_state.to_header() == (STATE if state == STATE else "")
    assert caplog.records == [], "what came from outside is not quoted in the log"


def test_a_page_of_the_relay_is_told_in_each_trace(spans: Recorded, db: psycopg.Connection[Any]) -> None:
    (first, one), (second, other) = traced(), traced()
    passed_over = publish_event(initiated()).position or 0
    with relaying(db, [[first], [first, passed_over, second]]):
        pass
    batch = spans.one("relay batch")
    assert (links(batch), told(batch)) == ([one, other], {"events": 3})
    assert [parent(span) for span in spans.named("relay")] == [one, other]
    assert told(spans.one("relay", one[0])).keys() == {"event.id", "event.type", "event.position"}


def _end(span: ReadableSpan) -> tuple[Any, Any, Any]:
    found = told(span)
    return found["attempt"], found["outcome"], found.get("error.type")
