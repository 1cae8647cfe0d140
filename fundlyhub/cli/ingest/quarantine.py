"""`fundlyhub ingest quarantine`: entries that cannot be events; look at them, release them, or discard them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, get_args

import click
from sqlalchemy import Connection

from fundlyhub.cli.operator import by_option
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database import dispose_engines, get_engine
from fundlyhub.database.audited import UNKNOWN, Changes
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.streams import quarantine as held
from fundlyhub.streams.quarantine_model import Held, State

F = TypeVar("F", bound=Callable[..., Any])
_ID = click.IntRange(1, 2**63 - 1)
_stream_option = click.option("--stream", help="Those of this stream.")


@click.group("quarantine")
def quarantine() -> None:
    """Entries of streams that cannot be events. None is ever deleted, and who did what is kept with each.

    What an entry says may be people's data: it is shown only where --fields asks for it.
    """


@quarantine.command("list", short_help="What rests, the newest first.")
@_stream_option
@click.option("--state", type=click.Choice((*get_args(State), "all")), default="open", show_default=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Lines at most.")
@json_option
def list_(stream: str | None, state: str, limit: int, as_json: bool) -> None:
    """Entries in quarantine, the newest first, with the reason of each."""
    wanted = next((one for one in get_args(State) if one == state), None)
    with _events_db() as db:
        found = held.find(db, state=wanted, stream=stream, limit=limit)
        total = held.count(db, state=wanted, stream=stream)
    if as_json:
        print_json([_document(one) for one in found])
        return
    print_table(
        f"Quarantine: {len(found):,} of {total:,}",
        ("id", "stream", "entry", "type", "reason", "received", "state"),
        [
            (str(one.id), one.stream, one.entry_id, one.type, one.reason, _time(one.received_at), one.state)
            for one in found
        ],
        optional=("received", "type", "state"),
    )


@quarantine.command("show", short_help="One entry: reason, fields and timeline.")
@click.argument("entry", metavar="ID", type=_ID)
@click.option("--fields", is_flag=True, help="Show what the fields say too: it may be people's data.")
@json_option
def show(entry: int, fields: bool, as_json: bool) -> None:
    """One entry in quarantine, and what happened to it."""
    with _events_db() as db:
        found = held.show(db, entry, fields=fields)
    said = None if found.fields is None else [[_readable(part) for part in pair] for pair in found.fields]
    if as_json:
        timeline = [{**asdict(line), "at": line.at.isoformat()} for line in found.timeline]
        print_json({**_document(found.held), "names": found.names, "fields": said, "timeline": timeline})
        return
    facts = {**_document(found.held), "names": ", ".join(found.names)}
    rows = [(name, value if value is None else str(value)) for name, value in facts.items()]
    print_table(f"Entry {entry}", ("", ""), rows)
    for name, value in said or ():
        click.echo(f"\n{name}\n\n{value}")
    print_table(
        "Timeline",
        ("at", "who", "what", "details"),
        [(_time(line.at), line.who, line.action, line.details) for line in found.timeline],
    )
    if said is None:
        click.echo("What the fields say may be people's data; --fields shows it.")


def _selection(function: F) -> F:
    """IDs, or all open ones: for commands that change what they select."""
    everything = click.option("--all", "everything", is_flag=True, help="All that are open.")
    return click.argument("entries", metavar="[ID]...", nargs=-1, type=_ID)(everything(_stream_option(function)))


@quarantine.command("release", short_help="Publish entries, after a fix.")
@_selection
@click.option(
    "--set", "fields", metavar="FIELD=VALUE", multiple=True,
    help="Release it with another value of a field; VALUE may be @FILE, and nothing takes the field out.",
)  # fmt: skip
@by_option
@json_option
def release(
    entries: tuple[int, ...], everything: bool, stream: str | None, fields: tuple[str, ...], who: str, as_json: bool
) -> None:
    """Publish entries: those of these IDs, or all open ones.

    The same checks are made again: what passes is an event now, what does not stays in quarantine with its new
    reason. The code has learnt to read it meanwhile, or --set mends it; the fields that came stay as they are.
    """
    corrections = dict(map(_correction, fields))
    if corrections and len(entries) != 1:
        raise WrongUse("--set mends one entry: name it")
    with _events_db() as db:
        ids = _selected(db, entries, everything, stream)
        done = held.release(db, ids, who=who, corrections=corrections)
    _report(done, "released", as_json)


@quarantine.command("discard", short_help="Let entries rest for good, with a reason.")
@_selection
@click.option("--reason", required=True, help="Why; it is kept, and shown to everybody.")
@by_option
@json_option
def discard(
    entries: tuple[int, ...], everything: bool, stream: str | None, reason: str, who: str, as_json: bool
) -> None:  # fmt: skip
    """Let entries rest for good: those of these IDs, or all open ones. Nothing is deleted."""
    with _events_db() as db:
        ids = _selected(db, entries, everything, stream)
        done = held.discard(db, ids, who=who, reason=reason)
    _report(done, "discarded", as_json)


def _selected(db: Connection, entries: Sequence[int], everything: bool, stream: str | None) -> list[int]:
    if bool(entries) == (everything or stream is not None):
        raise WrongUse("say which: IDs, or --stream, or --all")
    return list(entries) if entries else held.ids(db, stream=stream)


def _correction(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise WrongUse("write --set FIELD=VALUE")
    if not value.startswith("@"):
        return name, value
    try:
        with click.open_file(value[1:], encoding="utf-8") as file:
            return name, str(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"--set {name}: the file cannot be read: {type(error).__name__}") from None


def _report(done: Changes, after: State, as_json: bool) -> None:
    if as_json:
        unchanged = [{"id": id, "why": why} for id, why in done.unchanged.items()]
        print_json({"changed": list(done.changed), "unchanged": unchanged})
    else:
        for id, why in done.unchanged.items():
            told = "there is no such entry" if why == UNKNOWN else f"is {why}" if why in get_args(State) else why
            click.echo(f"{id}: {told}", err=True)
        click.echo(f"{len(done.changed):,} {after}")
    if any(why != after for why in done.unchanged.values()):
        sys.exit(1)


@contextmanager
def _events_db() -> Iterator[Connection]:
    require_current("events")
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))
    with get_engine("events").begin() as db:
        yield db


def _document(one: Held) -> dict[str, Any]:
    times = {name: getattr(one, name).isoformat() for name in ("received_at", "changed_at")}
    return {**asdict(one), **times}


def _readable(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
