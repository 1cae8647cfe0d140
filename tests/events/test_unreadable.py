"""Whatever the code of a type raises says "this event cannot be read", at every door and of that event alone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded

import fundlyhub.processing.executor  # noqa: F401  # names the time limit
from fundlyhub import Event, InvalidEvent, publish_event, publish_events
from fundlyhub.database import connect
from fundlyhub.errors import UnreadableEvent
from fundlyhub.events.lines import publish_lines
from fundlyhub.events.log import StoredEvent
from fundlyhub.events.refusal import of_one_event
from fundlyhub.observability.redaction import traceback_of
from fundlyhub.settings import Settings
from fundlyhub.streams.layouts import to_event
from fundlyhub.streams.store import store
from tests.streams.entries import entry, now_ms, whole
from tests.support.log import rows
from tests.support.make import initiated
from tests.support.unreadable import FAULTS, PLACES, SECRET, TYPE, Unreadable, added, said, text_of, version_of

WRITTEN = ("encoder", "aggregate")


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with added():
        yield


def row(place: str, fault: str, **changes: Any) -> StoredEvent:
    now = datetime.now(UTC)
    return StoredEvent(1, uuid4(), TYPE, version_of(place), now, now, None, None, text_of(place, fault), "{}")


def envelope(place: str, fault: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "type": TYPE, "version": version_of(place), "timestamp": now_ms(),
        "payload": said(place, fault),
    }  # fmt: skip


def line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def is_told_well(error: InvalidEvent) -> None:
    assert SECRET not in str(error) + repr(error) + traceback_of(error)
    assert "ann@" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["upcaster", "validator"])
def test_a_row_of_the_log(place: str, fault: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event.stored(row(place, fault))
    is_told_well(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_that_can_be_read_and_not_be_told_of(fault: str) -> None:
    event = Event.stored(row("encoder", fault))
    for write in (lambda: event.payload_json, event.payload_wire):
        with pytest.raises(InvalidEvent) as caught:
            write()
        is_told_well(caught.value)
    with pytest.raises(InvalidEvent):
        Event.stored(row("aggregate", fault)).aggregate_id  # noqa: B018  # it is read


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["validator", "encoder"])
def test_an_envelope_and_an_entry_of_a_stream(place: str, fault: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event.model_validate(envelope(place, fault))
    is_told_well(caught.value)
    with pytest.raises(InvalidEvent) as caught:
        to_event(entry(whole(type=TYPE, version="2.0.0", payload=text_of(place, fault))))
    is_told_well(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", WRITTEN)
def test_what_a_service_publishes(settings: Settings, place: str, fault: str) -> None:
    payload = Unreadable(where=place, fault=fault)
    for publish in (lambda: publish_event(payload), lambda: publish_events([initiated(), payload])):
        with pytest.raises(InvalidEvent) as caught:
            publish()
        is_told_well(caught.value)
    assert rows(settings.dsn("events")) == []


def test_a_copy_that_got_such_a_payload_is_refused_when_it_is_written(settings: Settings) -> None:
    """It was never checked: pydantic's copies are not."""
    event = Event.of(initiated())
    for place in WRITTEN:
        copy = event.model_copy(update={"payload": Unreadable(where=place, fault="KeyError")})
        with pytest.raises(UnreadableEvent):
            publish_event(copy)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_good_lines_of_a_file_go_in(settings: Settings, fault: str) -> None:
    good = [Event.of(initiated()) for _ in range(3)]
    lines = [json.dumps(event.to_envelope(), default=str).replace('"5"', "5").encode() + b"\n" for event in good]
    lines.insert(1, line(envelope("validator", fault)))
    lines.insert(3, line(envelope("aggregate", fault)))
    *_, report = publish_lines(io.BytesIO(b"".join(lines)))
    assert (report.published, [number for number, _ in report.refused]) == (3, [2, 4])
    assert SECRET not in str(report.refused)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_good_entries_of_a_stream_go_in(settings: Settings, fault: str) -> None:
    entries = [entry(whole(), id=f"{now_ms()}-{n}") for n in range(5)]
    for n, place in enumerate(PLACES[1:]):
        bad = whole(type=TYPE, version="2.0.0", payload=text_of(place, fault))
        entries.insert(n, entry(bad, id=f"{now_ms()}-{n + 10}"))
    with connect("events", autocommit=True) as db:
        stored = store(db, entries)
        assert (stored.new, stored.quarantined) == (5, 3)
        reasons = db.execute("SELECT reason FROM events.quarantine").fetchall()
    assert SECRET not in str(reasons)


@pytest.mark.parametrize("odd", [5, b"x", "\0", "\ud800", "x\udfff"])
def test_an_aggregate_that_no_column_holds_is_refused(settings: Settings, odd: Any) -> None:
    class Odd(Unreadable, type="test.odd"):
        @property
        def aggregate_id(self) -> Any:
            return odd

    with pytest.raises(InvalidEvent, match="aggregateId: must"):
        publish_event(Event.of(initiated()).model_copy(update={"payload": Odd(where="-", fault="-")}))


def test_the_class_and_the_place_of_the_fault_are_told() -> None:
    with pytest.raises(UnreadableEvent, match="raised KeyError") as caught:
        Event.stored(row("upcaster", "KeyError"))
    assert caught.value.error_class == "KeyError"
    assert "_brought_up" in traceback_of(caught.value)


def test_a_text_that_speaks_of_a_rule_is_shown_and_that_of_another_error_is_not() -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event.stored(row("validator", "ValueError"))
    assert str(caught.value) == "payload: is not valid (ValueError)"
    with pytest.raises(InvalidEvent, match=r"payload: is not valid \(UnicodeEncodeError\)"):
        Event.stored(row("validator", "UnicodeError"))


class Ends(BaseException):
    """Somebody wants the process to end."""


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded, KeyboardInterrupt, SystemExit, Ends])
def test_what_is_no_fault_of_the_event_passes(error: type[BaseException]) -> None:
    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        of_one_event(interrupted)()


def test_a_time_limit_passes_even_when_the_code_made_something_else_of_it() -> None:
    def swallows() -> None:
        try:
            raise SoftTimeLimitExceeded
        except Exception as error:
            raise KeyError("x") from error

    with pytest.raises(SoftTimeLimitExceeded):
        of_one_event(swallows)()


def test_a_panic_of_the_validators_own_code_is_the_events() -> None:
    def panics() -> None:
        raise type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    with pytest.raises(UnreadableEvent):
        of_one_event(panics)()


def test_an_error_that_is_its_own_cause_is_looked_at_once() -> None:
    def circles() -> None:
        error = KeyError("x")
        raise error from error

    with pytest.raises(UnreadableEvent):
        of_one_event(circles)()
