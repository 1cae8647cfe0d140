"""`fundlyhub dlq list` and `show`: what rests, in groups of one fault, and one letter with all about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
import orjson

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.dlq.selecting import STATES, filters, in_state, tell_when_unknown
from fundlyhub.cli.options import ID, by_option, limit_option, state_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times, timeline
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Letter, Shown


@click.command("list", short_help="List letters, the newest failure first, or in groups of the same fault.")
@filters
@state_option(STATES, default="open")
@click.option("--group", is_flag=True, help="Group the letters by fault, the largest group first.")
@limit_option(50)
@answers
def list_(wanted: Filter, state: str, group: bool, limit: int) -> Answer:
    """List dead letters, the newest failure first."""
    wanted = in_state(wanted, state)
    if group:
        return _groups(wanted, limit)
    with transaction("events") as db:
        wanted = dead_letters.in_full(db, wanted)
        found = dead_letters.find(db, wanted, limit=limit)
        total = len(found) if len(found) < limit else dead_letters.count(db, wanted)
    if not found:
        tell_when_unknown(wanted)
    columns = ("id", "processor", "type", "error", "message", "attempts", "last failed", "state")
    rows = [
        (str(one.id), one.processor, one.type, one.error, one.message, one.attempts, one.last_failed_at,
         f"{one.state}, edited" if one.corrected else one.state)
        for one in found
    ]  # fmt: skip
    title, optional = f"Dead letters: {_some(len(found), total)}", ("last failed", "attempts", "type", "state")
    return Answer([_as_document(letter) for letter in found], Table(title, columns, rows, optional=optional))


def _groups(wanted: Filter, limit: int) -> Answer:
    with transaction("events") as db:
        found = dead_letters.groups(db, dead_letters.in_full(db, wanted), limit=limit)
    if not found:
        tell_when_unknown(wanted)
    columns = ("fingerprint", "letters", "processor", "type", "error", "message", "first failed", "last failed",
               "sample")  # fmt: skip
    rows = [
        (one.fingerprint, one.letters, one.processor, one.type, one.error, one.message,
         one.first_failed_at, one.last_failed_at, str(one.sample))
        for one in found
    ]  # fmt: skip
    optional = ("message", "last failed", "type", "first failed", "sample")
    return Answer(
        [asdict(one) for one in found], Table("Dead letters by fingerprint", columns, rows, optional=optional)
    )


@click.command("show", short_help="Show one letter: error, traceback, event and timeline.")
@click.argument("letter", metavar="ID", type=ID)
@click.option("--payload", is_flag=True, help="Show the payload too: it may hold personal data.")
@by_option
@answers
def show(letter: int, payload: bool, who: str) -> Answer:
    """Show one dead letter: its error and traceback, its event, and what happened to it.

    The payload may hold personal data, and is shown only with --payload; `fundlyhub audit` tells to whom.
    """
    if payload:
        disclose(who, f"dead letter {letter}")
    with transaction("events") as db:
        found = dead_letters.show(db, letter, payload=payload)
    return Answer(orjson.dumps(_whole(found), option=orjson.OPT_INDENT_2), *_parts(found))


def _parts(found: Shown) -> Iterator[str | Table]:
    yield Table(f"Dead letter {found.letter.id}", ("", ""), _facts(found))
    yield f"\nTraceback\n\n{found.traceback.rstrip()}\n"
    for title, text in _contents(found):
        yield f"{title}\n\n{text}\n"
    yield timeline(found.timeline)
    if found.event is not None and found.content is None:
        yield "What the event says is people's data; --payload shows it."


def _facts(found: Shown) -> Iterator[tuple[str, str | datetime | None]]:
    letter, event = found.letter, found.event
    yield from (
        ("state", letter.state),
        ("processor", letter.processor),
        ("error", letter.error),
        ("message", letter.message),
        ("fingerprint", letter.fingerprint),
        ("attempts", f"{letter.attempts:,}"),
        ("first failed", letter.first_failed_at),
        ("last failed", letter.last_failed_at),
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
        ("happened", event.timestamp),
        ("recorded", event.recorded_at),
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
    return iso_times(asdict(letter))


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


def _some(shown: int, total: int) -> str:
    return f"{shown:,}" if shown == total else f"the newest {shown:,} of {total:,}"
