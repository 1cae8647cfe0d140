"""`fundlyhub rebuild`: make a processor's tables anew beside the live ones, compare them, and exchange them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click

from fundlyhub import rebuilds
from fundlyhub.cli.databases import ready, transaction
from fundlyhub.cli.options import by_option, optional_reason
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times
from fundlyhub.cli.progress import Tell, progress_bar
from fundlyhub.cli.queues import work_queues
from fundlyhub.cli.times import shown
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database.console_audit import note_rebuild
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.processing.task_names import REBUILDS
from fundlyhub.rebuilds import Difference, Exchanged, Rebuild, Status
from fundlyhub.rebuilds.comparing import note_values
from fundlyhub.settings import get_settings

POLL = 0.5
"""Seconds between two looks while a command waits."""

name_argument = click.argument("name", metavar="PROCESSOR")
despite_option = click.option(
    "--despite-findings", is_flag=True, help="Also where claimed events could not be applied: their effects are gone."
)
aggregate_option = click.option(
    "--aggregate", type=click.UUID, metavar="ID", help="The rows of this campaign, user or other aggregate alone."
)


@click.group("rebuild")
def command() -> None:
    """Make a processor's tables anew from the log, beside the live ones; compare them, and put them in their place.

    `start`, then `status` until they are filled, `diff` to see what would change, and `swap`. Workers of the queue
    `rebuilds` do the work, and keep up with the log until the swap. `undo` goes back.
    """


@command.command("start")
@name_argument
@click.option("--rate", type=click.IntRange(1), metavar="N", help="Replay at most this many events per second.")
@optional_reason
@by_option
@answers
def start(name: str, rate: int | None, reason: str | None, who: str) -> Answer:
    """Begin to rebuild the tables of a processor. Nothing of the live ones changes."""
    ready("events", "app", "analytics")
    _asked("start", name, reason, who)
    one = rebuilds.start(get_settings(), known_processors(), name, who=who, rate=rate)
    return Answer(
        _document(one),
        f"{name} is being rebuilt, up to position {one.up_to:,} and then with the log: {', '.join(one.tables)}.",
        Aside(f"fundlyhub rebuild status {name} --wait 600"),
    )


@command.command("status")
@name_argument
@click.option(
    "--wait", type=click.FloatRange(0), default=0, metavar="SECONDS",
    help="Show a bar until it is filled and behind by nothing, at most this long.",
)  # fmt: skip
@answers
def status(name: str, wait: float) -> Answer:
    """Show how far the newest rebuild of a processor is: rate, time left, and events that could not be applied.

    With --wait the exit status is 1 if it is not filled then.
    """
    ready("app", "analytics")
    with progress_bar("") as tell:
        found = _waited(name, wait, tell)
    good = not wait or found.phase != "filling"
    workers = _workers() if found.rebuild.state == "running" else None
    return Answer({**found.document(), "workers": workers}, *_told(found, workers), good=good)


@command.command("list")
@click.option("--all", "dropped", is_flag=True, help="Also those whose schema was dropped.")
@answers
def listing(dropped: bool) -> Answer:
    """List the rebuilds whose tables are there: running, swapped (with the former tables), undone."""
    ready("app", "analytics")
    found = rebuilds.listed(get_settings(), known_processors(), dropped=dropped)
    rows = [
        (one.processor, one.state, one.branch, one.schema, one.who, one.started_at, one.swapped_at) for one in found
    ]
    columns = ("processor", "state", "database", "schema", "by", "started", "swapped")
    return Answer([_document(one) for one in found], Table("Rebuilds", columns, rows, optional=("database", "schema")))


@command.command("diff")
@name_argument
@click.option("--examples", type=click.IntRange(0, 1_000), default=20, show_default=True, help="Rows per table.")
@click.option("--values", is_flag=True, help="Show all values that differ, also of people; who did is written down.")
@aggregate_option
@by_option
@answers
def diff(name: str, examples: int, values: bool, aggregate: UUID | None, who: str) -> Answer:
    """Compare the rebuilt tables with the live ones: rows that a swap would add, take away and change.

    With --aggregate the rows of one campaign, user or other aggregate alone are made now, and compared; nothing has to
    be started.
    """
    ready("events", "app", "analytics")
    if values:
        with transaction("events") as db:
            note_values(db, name, who=who)
    if aggregate is None:
        found = rebuilds.diff(get_settings(), known_processors(), name, examples=examples, values=values)
    else:
        _clean_up_when_ended()
        found = rebuilds.diff_aggregate(
            get_settings(), known_processors(), name, aggregate, examples=examples, values=values
        )
    return Answer([one.document() for one in found], *_compared(found))


@command.command("swap")
@name_argument
@despite_option
@aggregate_option
@optional_reason
@by_option
@answers
def swap(name: str, despite_findings: bool, aggregate: UUID | None, reason: str | None, who: str) -> Answer:
    """Put the rebuilt tables in the place of the live ones, in one short transaction. The former ones are kept.

    With --aggregate the rows of one campaign, user or other aggregate alone are made now, and put in the place of its
    live ones. All other rows stay, nothing has to be started, and nothing is kept to go back to: see `diff` first.
    """
    if aggregate is not None and despite_findings:
        raise WrongUse("--despite-findings is of whole rebuilds: an event of an --aggregate has to be applied")
    _asked("swap", name, reason, who)
    if aggregate is not None:
        return _replaced(name, aggregate, who)
    done = _run(rebuilds.swap, name, despite_findings, who)
    return Answer(iso_times(done.document()), done.sentence, Aside(f"fundlyhub rebuild undo {name}"))


@command.command("undo")
@name_argument
@despite_option
@click.option("--aggregate", type=click.UUID, metavar="ID", help="Refused: rows that were replaced are not kept.")
@optional_reason
@by_option
@answers
def undo(name: str, despite_findings: bool, aggregate: UUID | None, reason: str | None, who: str) -> Answer:
    """Put the former tables back in their place, with all that was claimed since."""
    if aggregate is not None:
        raise WrongUse(
            "the rows that `swap --aggregate` took away are not kept, so there is nothing to go back to; "
            "the next one makes them anew from the log, and `diff --aggregate` shows before what it would change"
        )
    _asked("undo", name, reason, who)
    done = _run(rebuilds.undo, name, despite_findings, who)
    return Answer(iso_times(done.document()), done.sentence)


@command.command("cancel")
@name_argument
@optional_reason
@by_option
@answers
def cancel(name: str, reason: str | None, who: str) -> Answer:
    """End a rebuild that was not put in place, and drop its tables."""
    ready("app", "analytics")
    _asked("cancel", name, reason, who)
    one = rebuilds.cancel(get_settings(), known_processors(), name, who=who)
    return Answer(_document(one), f"The rebuild of {name} is cancelled, and its tables are gone.")


@command.command("prune")
@name_argument
@optional_reason
@by_option
@answers
def prune(name: str, reason: str | None, who: str) -> Answer:
    """Drop the tables that a swap or its undoing has left; then there is nothing to go back to."""
    ready("app", "analytics")
    _asked("prune", name, reason, who)
    one = rebuilds.prune(get_settings(), known_processors(), name, who=who)
    return Answer(_document(one), f"The tables that the rebuild of {name} had left are gone.")


def _asked(verb: str, name: str, reason: str | None, who: str) -> None:
    """Keep the reason in the console's audit, where one is given. Raises WrongUse if it is not one printable line."""
    if reason is not None:
        ready("events")
        with transaction("events") as db:
            note_rebuild(db, verb, name, who=who, reason=reason)


def _replaced(name: str, aggregate: UUID, who: str) -> Answer:
    ready("events", "app", "analytics")
    _clean_up_when_ended()
    done = rebuilds.swap_aggregate(get_settings(), known_processors(), name, aggregate, who=who)
    return Answer(
        {
            "processor": name, "aggregate": str(aggregate), "tables": [asdict(one) for one in done.tables],
            "events": done.events, "locked_ms": round(done.locked * 1_000, 1), "tries": done.tries,
        },
        Table(
            f"Rows of {aggregate}, from {done.events:,} events", ("table", "taken away", "put there"),
            [(one.table, one.removed, one.put) for one in done.tables],
        ),
        *([] if done.events else [f"No event that {name} has applied is about {aggregate}."]),
        f"The tables were locked for {done.locked * 1_000:,.0f} ms.",
    )  # fmt: skip


def _clean_up_when_ended() -> None:
    """At SIGTERM the schema goes, as at Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _run(exchange: Callable[..., Exchanged], name: str, despite_findings: bool, who: str) -> Exchanged:
    ready("events", "app", "analytics")
    with progress_bar("") as tell:
        return exchange(get_settings(), known_processors(), name, who=who, despite_findings=despite_findings, tell=tell)


def _waited(name: str, wait: float, tell: Tell) -> Status:
    end = time.monotonic() + wait
    while True:
        found = rebuilds.status(get_settings(), known_processors(), name)
        tell(f"{found.phase}, {found.per_second:,.0f} events/s", found.positions, found.of)
        ahead = found.rebuild.state != "running" or (found.phase == "following" and not found.behind)
        if ahead or time.monotonic() >= end:
            return found
        time.sleep(min(POLL, max(0.0, end - time.monotonic())))


def _workers() -> int | None:
    """How many workers consume the queue of rebuilds; None while the broker does not say."""
    try:
        return work_queues()[REBUILDS].consumers
    except (Unavailable, WrongUse):
        return None


def _document(one: Rebuild) -> dict[str, Any]:
    return iso_times({name: getattr(one, name) for name in one.__dataclass_fields__})


def _told(found: Status, workers: int | None) -> Iterator[str | Table]:
    one = found.rebuild
    yield f"{one.processor} is {found.phase}, since {shown(one.started_at)}, by {one.who}: {', '.join(one.tables)}."
    if one.state == "running":
        left = f", {found.seconds_left:,.0f} s left" if found.seconds_left is not None else ""
        yield f"{found.positions:,} of {found.of:,} positions, {found.per_second:,.0f} events/s{left}."
    if workers == 0:
        yield f"No worker consumes the queue {REBUILDS}: start one (`celery -A fundlyhub worker -Q {REBUILDS}`)."
    if one.state != "dropped":
        yield f"{found.claims:,} claims are replayed, {found.behind:,} are not."
    if found.listed:
        rows = [(row.position, row.event_id, row.what) for row in found.listed]
        yield Table(f"Not applied: {found.findings:,} events", ("position", "event", "why"), rows)


def _compared(found: list[Difference]) -> Iterator[str | Table]:
    rows = [(one.table, one.added, one.gone, one.changed) for one in found]
    yield Table("A swap would change", ("table", "added", "gone", "changed"), rows)
    examples = [
        (
            one.table,
            row["kind"],
            _plain(row["key"]),
            ", ".join(row["columns"]),
            _plain(row["rebuilt"]),
            _plain(row["live"]),
        )
        for one in found
        for row in one.document()["examples"]
    ]
    if examples:
        yield Table("Examples", ("table", "what", "key", "columns", "rebuilt", "live"), examples)
    else:
        yield "Nothing differs." if not any(one.added + one.gone + one.changed for one in found) else "No examples."


def _plain(value: Any) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else ""
