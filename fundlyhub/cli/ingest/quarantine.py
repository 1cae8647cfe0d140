"""`fundlyhub ingest quarantine`: entries that cannot be events; look at them, release them, or discard them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, get_args

import click
from sqlalchemy import Connection

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import ID, by_option, limit_option, optional_reason, reason_option, state_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times, timeline
from fundlyhub.database.audited import UNKNOWN, Changes
from fundlyhub.errors import WrongUse
from fundlyhub.streams import quarantine as held
from fundlyhub.streams.quarantine_model import State

_stream_option = click.option("--stream", help="Entries of this stream.")


@click.group("quarantine")
def quarantine() -> None:
    """Entries of streams that are no valid events. An entry is never deleted, and its history is kept.

    Fields may hold personal data: they are shown only with --fields.
    """


@quarantine.command("list", short_help="List entries, the newest first.")
@_stream_option
@state_option(get_args(State), default="open")
@limit_option(50)
@answers
def list_(stream: str | None, state: str, limit: int) -> Answer:
    """List entries in quarantine with their reasons, the newest first."""
    wanted = next((one for one in get_args(State) if one == state), None)
    with transaction("events") as db:
        found = held.find(db, state=wanted, stream=stream, limit=limit)
        total = held.count(db, state=wanted, stream=stream)
    columns = ("id", "stream", "entry", "type", "reason", "received", "state")
    rows = [(str(one.id), one.stream, one.entry_id, one.type, one.reason, one.received_at, one.state) for one in found]
    title, optional = f"Quarantine: {len(found):,} of {total:,}", ("received", "type", "state")
    return Answer([iso_times(asdict(one)) for one in found], Table(title, columns, rows, optional=optional))


@quarantine.command("show", short_help="Show one entry: reason, fields and timeline.")
@click.argument("entry", metavar="ID", type=ID)
@click.option("--fields", is_flag=True, help="Show the fields too: they may hold personal data.")
@by_option
@answers
def show(entry: int, fields: bool, who: str) -> Answer:
    """Show one entry in quarantine, and what happened to it. `fundlyhub audit` tells who saw its fields."""
    if fields:
        disclose(who, f"entry {entry} in quarantine")
    with transaction("events") as db:
        found = held.show(db, entry, fields=fields)
    facts = iso_times(asdict(found.held))
    said = found.texts
    rows = {name: None if value is None else str(value) for name, value in facts.items()}
    return Answer(
        {**facts, "names": found.names, "fields": said, "timeline": [iso_times(asdict(one)) for one in found.timeline]},
        Table(f"Entry {entry}", ("", ""), {**rows, "names": ", ".join(found.names)}.items()),
        *(f"\n{name}\n\n{value}" for name, value in said or ()),
        timeline(found.timeline),
        *(["What the fields say may be people's data; --fields shows it."] if said is None else []),
    )


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """IDs, or all open ones: for commands that change what they select."""
    everything = click.option("--all", "everything", is_flag=True, help="All open entries.")
    return click.argument("entries", metavar="[ID]...", nargs=-1, type=ID)(everything(_stream_option(function)))


@quarantine.command("release", short_help="Publish entries, after a fix.")
@_selection
@click.option(
    "--set", "fields", metavar="FIELD=VALUE", multiple=True,
    help="Change a field first; VALUE may be @FILE, and an empty one removes the field.",
)  # fmt: skip
@optional_reason
@by_option
@answers
def release(
    entries: tuple[int, ...],
    everything: bool,
    stream: str | None,
    fields: tuple[str, ...],
    reason: str | None,
    who: str,
) -> Answer:
    """Publish entries: those with these IDs, or all open ones.

    Each entry is validated again: a valid one becomes an event, any other stays in quarantine with its new reason. Use
    it after a fix of the code, or with --set. The stored fields do not change.
    """
    corrections = dict(map(_correction, fields))
    if corrections and len(entries) != 1:
        raise WrongUse("--set mends one entry: name it")
    with transaction("events") as db:
        ids = _selected(db, entries, everything, stream)
        done = held.release(db, ids, who=who, corrections=corrections, reason=reason)
    return _answer(done, "released")


@quarantine.command("discard", short_help="Discard entries, with a reason.")
@_selection
@reason_option
@by_option
@answers
def discard(entries: tuple[int, ...], everything: bool, stream: str | None, reason: str, who: str) -> Answer:
    """Discard entries: those with these IDs, or all open ones. Nothing is deleted."""
    with transaction("events") as db:
        ids = _selected(db, entries, everything, stream)
        done = held.discard(db, ids, who=who, reason=reason)
    return _answer(done, "discarded")


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


def _answer(done: Changes, after: State) -> Answer:
    told = {
        id: "there is no such entry" if why == UNKNOWN else f"is {why}" if why in get_args(State) else why
        for id, why in done.unchanged.items()
    }
    return Answer(
        {"changed": list(done.changed), "unchanged": [{"id": id, "why": why} for id, why in done.unchanged.items()]},
        *(Aside(f"{id}: {why}") for id, why in told.items()),
        f"{len(done.changed):,} {after}",
        good=all(why == after for why in done.unchanged.values()),
    )
