"""`fundlyhub waiting`: which events wait, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
import psycopg

from fundlyhub.cli.databases import log_connection
from fundlyhub.cli.options import limit_option
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.queues import work_queues
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.monitoring.reasons import Logged, Waits, Wanted, count, events_named, not_run, reasons, waits

_AT = "SELECT id, position, type, recorded_at FROM events.events WHERE position = %s"


@click.command("waiting")
@click.option("--processor", metavar="NAME", help="Events that wait for this processor.")
@click.option("--event", metavar="ID", help="This event: an id or its beginning, or a position.")
@click.option("--reason", metavar="TEXT", help="Events whose error or reason contains this text.")
@click.option("--group", is_flag=True, help="Group the events by reason.")
@limit_option(100)
@answers
def command(processor: str | None, event: str | None, reason: str | None, group: bool, limit: int) -> Answer:
    """List events that failed or were postponed: why, how often, and when they run next; the oldest first.

    `fundlyhub status` counts the events that have not run yet; --event shows them for one event. Reasons hold no
    values of an event.
    """
    known = known_processors()
    if group and event:
        raise WrongUse("--group and --event: one event is no group")
    with log_connection("app", "analytics") as db:
        one = _event(db, event) if event else None
        wanted = Wanted(processor, one.position if one else None, reason)
        if group:
            return _groups(db, wanted, limit)
        found, number = waits(db, wanted, limit), count(db, wanted)
        if one is not None:
            chosen = {name: cls for name, cls in known.items() if processor in (None, name)}
            fresh = [item for item in not_run(db, chosen, one, _idle()) if (reason or "") in item.reason]
            found, number = [*found, *fresh], number + len(fresh)
    return Answer([asdict(item) for item in found], _told(found, number, one))


def _event(db: psycopg.Connection[Any], text: str) -> Logged:
    """The event that is meant. Raises WrongUse when none is, or several are."""
    found: list[Logged] = []
    if re.fullmatch(r"\d{1,18}", text):
        found = [Logged(*row) for row in db.execute(_AT, (int(text),))]
    if not found and re.fullmatch(r"[0-9a-fA-F-]{8,36}", text) and 8 <= len(text.replace("-", "")) <= 32:
        found = events_named(db, text)
    elif not found and not text.isdigit():
        raise WrongUse("--event: give an event's id, at least its first 8 characters, or a position")
    if not found:
        raise WrongUse(f"no event {text} is in the log")
    if len(found) > 1:
        raise WrongUse(f"several events begin with {text}: give more of the id")
    return found[0]


def _idle() -> Sequence[str]:
    """Queues without a worker, as far as the broker says."""
    try:
        return [name for name, queue in work_queues().items() if not queue.consumers]
    except Unavailable:
        return ()


def _groups(db: psycopg.Connection[Any], wanted: Wanted, limit: int) -> Answer:
    found, number = reasons(db, wanted, limit), count(db, wanted)
    columns = ("events", "processor", "reason", "since", "next")
    rows = [(one.events, one.processor, one.reason or one.error, one.since, one.next_at) for one in found]
    return Answer([asdict(one) for one in found], Table(f"Why {number:,} events wait", columns, rows))


def _told(found: Sequence[Waits], number: int, event: Logged | None) -> str | Table:
    title = f"Events that wait: {number:,}"
    if len(found) < number:
        title += f", the oldest {len(found):,} of them"
    if event is not None:
        title = f"Event {event.id} at position {event.position}"
        if not found:
            return f"{title} waits for no processor."
    columns = ("position", "processor", "state", "attempts", "reason", "since", "next")
    rows = [
        (str(one.position), one.processor, one.kind, one.attempts, one.reason, one.since, one.next_at) for one in found
    ]
    return Table(title, columns, rows, optional=("next", "attempts", "since", "state"))
