"""`fundlyhub dlq list` and `show`: what rests, in groups of one fault, and one letter with all about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from fundlyhub.cli.dlq.selecting import STATES, events_db, filters, in_state, tell_when_unknown
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Letter, Shown


@click.command("list", short_help="What rests, the newest failure first, or in groups of one fault.")
@filters
@click.option("--state", type=click.Choice((*STATES, "all")), default="open", show_default=True)
@click.option("--group", is_flag=True, help="Groups of letters that look alike, the largest first.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Lines at most.")
@json_option
def list_(wanted: Filter, state: str, group: bool, limit: int, as_json: bool) -> None:
    """Dead letters, the newest failure first."""
    wanted = in_state(wanted, state)
    if group:
        _list_groups(wanted, limit, as_json)
        return
    with events_db() as db:
        wanted = dead_letters.in_full(db, wanted)
        found = dead_letters.find(db, wanted, limit=limit)
        total = len(found) if len(found) < limit else dead_letters.count(db, wanted)
    if not found:
        tell_when_unknown(wanted)
    if as_json:
        print_json([_as_document(letter) for letter in found])
        return
    print_table(
        f"Dead letters: {_some(len(found), total)}",
        ("id", "processor", "type", "error", "message", "attempts", "last failed", "state"),
        [
            (str(one.id), one.processor, one.type, one.error, one.message, one.attempts, _time(one.last_failed_at),
             f"{one.state}, edited" if one.corrected else one.state)
            for one in found
        ],
        optional=("last failed", "attempts", "type", "state"),
    )  # fmt: skip


def _list_groups(wanted: Filter, limit: int, as_json: bool) -> None:
    with events_db() as db:
        found = dead_letters.groups(db, dead_letters.in_full(db, wanted), limit=limit)
    if not found:
        tell_when_unknown(wanted)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        "Dead letters by fingerprint",
        ("fingerprint", "letters", "processor", "type", "error", "message", "first failed", "last failed", "sample"),
        [
            (one.fingerprint, one.letters, one.processor, one.type, one.error, one.message,
             _time(one.first_failed_at), _time(one.last_failed_at), str(one.sample))
            for one in found
        ],
        optional=("message", "last failed", "type", "first failed", "sample"),
    )  # fmt: skip


@click.command("show", short_help="One letter: error, traceback, event and timeline.")
@click.argument("letter", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@click.option("--payload", is_flag=True, help="Show what the event says too: it may be people's data.")
@json_option
def show(letter: int, payload: bool, as_json: bool) -> None:
    """One dead letter: its error and traceback, its event, and what happened to it.

    What the event says is people's data, and is left out unless --payload asks for it.
    """
    with events_db() as db:
        found = dead_letters.show(db, letter, payload=payload)
    if as_json:
        click.echo(orjson.dumps(_whole(found), option=orjson.OPT_INDENT_2).decode())
        return
    print_table(f"Dead letter {letter}", ("", ""), _facts(found))
    click.echo(f"\nTraceback\n\n{found.traceback.rstrip()}\n")
    for title, text in _contents(found):
        click.echo(f"{title}\n\n{text}\n")
    print_table(
        "Timeline",
        ("at", "who", "what", "details"),
        [(_time(entry.at), entry.who, entry.action, entry.details) for entry in found.timeline],
    )
    if found.event is not None and not payload:
        click.echo("What the event says is people's data; --payload shows it.")


def _facts(found: Shown) -> Iterator[tuple[str, str | None]]:
    letter, event = found.letter, found.event
    yield from (
        ("state", letter.state),
        ("processor", letter.processor),
        ("error", letter.error),
        ("message", letter.message),
        ("fingerprint", letter.fingerprint),
        ("attempts", f"{letter.attempts:,}"),
        ("first failed", _time(letter.first_failed_at)),
        ("last failed", _time(letter.last_failed_at)),
        ("payload", "corrected by hand" if letter.corrected else "the event's own"),
        ("event", str(letter.event_id)),
        ("type", f"{letter.type} {event.version}" if event else letter.type),
        ("about", _about(letter)),
        ("position", str(letter.position)),
    )
    if event is None:
        yield "log", f"the event {found.absence}"
        return
    yield from (
        ("happened", _time(event.timestamp)),
        ("recorded", _time(event.recorded_at)),
        ("correlation", str(event.correlation_id) if event.correlation_id else None),
        ("causation", str(event.causation_id) if event.causation_id else None),
    )


def _contents(found: Shown) -> Iterator[tuple[str, str]]:
    if found.content is not None:
        yield "Payload", found.content.payload
        yield "Metadata", found.content.metadata
        if found.content.corrected_payload is not None:
            yield "Corrected payload, which counts", found.content.corrected_payload


def _as_document(letter: Letter) -> dict[str, Any]:
    times = {name: getattr(letter, name).isoformat() for name in ("first_failed_at", "last_failed_at", "changed_at")}
    return {**asdict(letter), **times}


def _whole(found: Shown) -> dict[str, Any]:
    """JSON goes through as it stands in the database: each number to its last digit."""
    document: dict[str, Any] = {
        **_as_document(found.letter),
        "traceback": found.traceback,
        "timeline": [asdict(entry) for entry in found.timeline],
        "event": None if found.event is None else asdict(found.event),
    }
    if found.content is not None:
        values = asdict(found.content)
        document |= {name: None if text is None else orjson.Fragment(text) for name, text in values.items()}
    return document


def _about(letter: Letter) -> str | None:
    return "/".join(part for part in (letter.aggregate_type, letter.aggregate_id) if part) or None


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _some(shown: int, total: int) -> str:
    return f"{shown:,}" if shown == total else f"the newest {shown:,} of {total:,}"
