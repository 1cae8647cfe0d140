"""`fundlyhub events list`, `show`, `tail` and `story`: events of the log, and what became of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import click
import orjson
import psycopg

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.databases import log_connection
from fundlyhub.cli.options import by_option, gathered, limit_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times, json_option, print_json_line, say
from fundlyhub.cli.times import moment, shown
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.database import get_engine
from fundlyhub.events.reading import read_in_portions
from fundlyhub.history.finding import LoggedEvent, Wanted, find, the_event
from fundlyhub.history.following import follow, snapshot
from fundlyhub.history.story import Story, story

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
POSITION = click.IntRange(0, 2**63 - 1)
COLUMNS = ("position", "id", "type", "about", "recorded", "correlation", "causation")

payload_option = click.option(
    "--payload", is_flag=True, help="Print payload and metadata too: they may hold personal data. This is recorded."
)
event_argument = click.argument("event", metavar="ID")


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    return moment(text) if text else None


def _wanted(
    types: Sequence[str], aggregate: str | None, aggregate_type: str | None, correlation: UUID | None,
    causation: UUID | None, trace: str | None, since: datetime | None, until: datetime | None, before: int | None,
    after: int | None,
) -> Wanted:  # fmt: skip
    return Wanted(tuple(types), aggregate_type, aggregate, correlation, causation, since, until, before, after, trace)


filters = gathered(
    "wanted", _wanted,
    click.option("--type", "types", multiple=True, metavar="PATTERN", help="Only this type, or pattern: donation.*"),
    click.option("--aggregate", metavar="ID", help="Only events about the thing with this id."),
    click.option("--aggregate-type", metavar="NAME", help="Only events about things of this kind, such as campaign."),
    click.option("--correlation", type=click.UUID, metavar="ID", help="Only events with this correlation id."),
    click.option("--causation", type=click.UUID, metavar="ID", help="Only events that this event has caused."),
    click.option("--trace", metavar="ID", help="Only events that this OpenTelemetry trace has published."),
    click.option("--since", callback=_moment, metavar="TIME", help="Recorded then or later: 2h, or 2026-03-01T14:00."),
    click.option("--until", callback=_moment, metavar="TIME", help="Recorded before."),
    click.option("--before", type=POSITION, metavar="POSITION", help="Only positions before this one."),
    click.option("--after", type=POSITION, metavar="POSITION", help="Only positions after this one."),
)  # fmt: skip


@click.command("list")
@filters
@limit_option(50, most=10_000)
@payload_option
@by_option
@json_option
def list_(wanted: Wanted, limit: int, payload: bool, who: str, as_json: bool) -> None:
    """List events of the log, the newest first; with --json one JSON object a line.

    Aggregate, correlation and causation are looked up in the table of event_lookup. Otherwise up to 200,000 events are
    looked through for one page; the last line says with which --before the list goes on.
    """
    if payload:
        disclose(who, f"up to {limit} events of a list")
    with log_connection() as db:
        page = find(db, wanted, limit=limit)
        _print(db, page.events, payload, as_json)
    if page.next is not None:
        why = " (so far was looked through)" if page.looked_through else ""
        say(f"more with --before {page.next}{why}", err=True)
    if page.not_known is not None:
        say(f"looked through the log: {page.not_known}", err=True)


@click.command("show")
@event_argument
@payload_option
@by_option
@answers
def show(event: str, payload: bool, who: str) -> Answer:
    """Show the event with this ID: a position, an id, or the first characters of one."""
    with log_connection() as db:
        found = the_event(db, event)
        if payload:
            disclose(who, f"event {found.id}")
        contents = _contents([found]) if payload else {}
    document = _document(found, contents)
    rows = [(name, shown(value) if isinstance(value, datetime) else value) for name, value in asdict(found).items()]
    texts = [f"{name}\n\n{text}" for name, text in contents.get(found.position, {}).items()]
    return Answer(orjson.dumps(document, option=orjson.OPT_INDENT_2), Table("Event", ("", ""), rows), *texts)


@click.command("tail")
@filters
@click.option("-n", "--lines", type=click.IntRange(0, 10_000), default=10, show_default=True, help="The newest events.")
@click.option("-f", "--follow", "following", is_flag=True, help="Print new events as they come, until Ctrl-C.")
@payload_option
@by_option
@json_option
def tail(wanted: Wanted, lines: int, following: bool, payload: bool, who: str, as_json: bool) -> None:
    """Print the newest events, the newest last, one a line; with -f also those that come."""
    if payload:
        disclose(who, "events as they came")
    stop = stop_on_signals()
    with log_connection() as db:
        seen = snapshot(db)
        last = find(db, wanted, limit=lines).events[::-1] if lines else []
        _print_lines(last, payload, as_json)
        if not following:
            return
        known = {one.position for one in last}
        for events in follow(db, wanted, stop, seen=seen):
            _print_lines([one for one in events if one.position not in known], payload, as_json)


@click.command("story")
@event_argument
@answers
def tell(event: str) -> Answer:
    """Tell everything that is known about the event with this ID, in order of time.

    ID is a position, an id, or the first characters of one. The story says when it was published, relayed and applied
    by each processor, its attempts and dead letters, the messages that went out, and the events that it caused.
    """
    with log_connection("app", "analytics") as db:
        told = story(db, the_event(db, event))
    one = told.event
    title = f"{one.type} {one.id} at position {one.position}"
    rows = [(entry.at, entry.where, entry.what, entry.details) for entry in told.entries]
    document = {"event": _document(one), "entries": [iso_times(asdict(entry)) for entry in told.entries],
                "caused": [one.position for one in told.caused], "looked_up_to": told.looked_up_to}  # fmt: skip
    return Answer(document, Table(title, ("at", "where", "what", "details"), rows), *_end(told))


def _end(told: Story) -> Iterator[str]:
    if told.looked_up_to is not None:
        yield Aside(f"Events that it caused were looked for up to position {told.looked_up_to:,}.")


def _print(db: psycopg.Connection[Any], events: Sequence[LoggedEvent], payload: bool, as_json: bool) -> None:
    if as_json or payload:
        _print_lines(events, payload, as_json)
        return
    rows = [(one.position, str(one.id), one.type, _about(one), one.recorded_at, _text(one.correlation_id),
             _text(one.causation_id)) for one in events]  # fmt: skip
    optional = ("causation", "correlation", "about")
    Table(f"Events: {len(events):,}", COLUMNS, rows, optional=optional).print()


def _print_lines(events: Sequence[LoggedEvent], payload: bool, as_json: bool) -> None:
    """One line an event; payloads are read in portions, so that large ones cost no more memory than small ones."""
    for some in _portions(events, 500 if not payload else 50):
        contents = _contents(some) if payload else {}
        for one in some:
            if as_json:
                print_json_line(orjson.dumps(_document(one, contents)))
                continue
            say(f"{shown(one.recorded_at)} {one.position} {one.type} {one.id} {_about(one) or ''}".rstrip())
            for name, text in contents.get(one.position, {}).items():
                say(f"    {name} {text}")


def _contents(events: Sequence[LoggedEvent]) -> dict[int, dict[str, str]]:
    """Payload and metadata as JSON text, by position. What was erased is absent from them, as it is in the log."""
    found: dict[int, dict[str, str]] = {}
    with get_engine("events").connect() as db:
        for portion in read_in_portions(db, [one.position for one in events]):
            for row in portion:
                found[row.position] = {"payload": row.payload or "null", "metadata": row.metadata or "null"}
    return found


def _document(one: LoggedEvent, contents: Mapping[int, Mapping[str, str]] = {}) -> dict[str, Any]:
    texts = contents.get(one.position, {})
    document = {name: str(value) if isinstance(value, UUID) else value for name, value in asdict(one).items()}
    return {**iso_times(document), **{name: orjson.Fragment(text) for name, text in texts.items()}}


def _portions(events: Sequence[LoggedEvent], size: int) -> Iterator[Sequence[LoggedEvent]]:
    return (events[start : start + size] for start in range(0, len(events), size))


def _about(one: LoggedEvent) -> str | None:
    return "/".join(part for part in (one.aggregate_type, one.aggregate_id) if part) or None


def _text(id: UUID | None) -> str | None:
    return str(id) if id else None
