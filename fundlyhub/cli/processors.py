"""`fundlyhub processors`: which processors run and which are paused; pause and resume them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Connection

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import by_option, limit_option, reason_option
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.times import age
from fundlyhub.cli.times import shown as _time
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import WrongUse
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import standing

name_argument = click.argument("name", metavar="NAME")


@click.group("processors")
def command() -> None:
    """Show which processors run and which are paused; pause and resume them.

    The events of a paused processor wait in the log; waiting uses up no attempt. A processor pauses itself if many
    events fail with the same error and almost none succeeds. It then tries a few events from time to time, and resumes
    when one succeeds.
    """


@command.command("list")
@answers
def show() -> Answer:
    """List all processors: queue and state; if paused, since when, why and by whom."""
    with transaction("events") as db:
        names, paused = pauses.registered(db, known_processors()), pauses.paused(db)
    queues = {name: processor.queue for name, processor in known_processors().items()}
    found = [asdict(standing(name, queues.get(name), paused.get(name))) for name in names]
    rows = [(one["name"], one["queue"], "paused" if one["since"] else "running") for one in found]
    table = Table("Processors", ("processor", "queue", "state"), rows)
    return Answer(found, table, *(_in_words(one) for one in found if one["since"]))


@command.command("pause")
@name_argument
@reason_option
@click.option("--until", metavar="TIME", help="Resume by itself after 15m, 2h or 7d, or at 2026-01-31T18:00Z.")
@by_option
@answers
def pause(name: str, reason: str, until: str | None, who: str) -> Answer:
    """Pause a processor: run none of its events until it is resumed. Events that are running now are finished."""
    end = _moment(until) if until else None
    with transaction("events") as db:
        _require(db, name)
        pauses.pause_by_hand(db, name, who=who, reason=reason, until=end)
    moment = _time(end) or f"`fundlyhub processors resume {name}`"
    return Answer({"name": name, "paused": True, "until": end}, f"{name} is paused until {moment}.")


@command.command("resume")
@name_argument
@click.option("--reason", default="by hand", show_default=True, help="The reason; it is stored.")
@by_option
@answers
def resume(name: str, reason: str, who: str) -> Answer:
    """Resume a processor, even if it paused itself. The relay sends the waiting events at once."""
    with transaction("events") as db:
        _require(db, name)
        done = pauses.end_by_hand(db, name, who=who, reason=reason)
    return Answer({"name": name, "resumed": done}, f"{name} is {'resumed' if done else 'not paused'}.")


@command.command("history")
@name_argument
@limit_option(50, most=10_000)
@answers
def history(name: str, limit: int) -> Answer:
    """Show when a processor was paused and resumed, by whom and why; the newest first."""
    with transaction("events") as db:
        _require(db, name)
        entries = pauses.history(db, name, limit=limit)
    rows = [(one.at, one.action, one.kind, one.who, one.account, one.role, one.details) for one in entries]
    columns = ("at", "action", "kind", "who", "account", "role", "details")
    table = Table(f"Pauses of {name}", columns, rows, optional=("role", "account"))
    return Answer([asdict(one) for one in entries], table)


def _require(db: Connection, name: str) -> None:
    if name not in (names := pauses.registered(db, known_processors())):
        raise WrongUse(f"no such processor: {name}; there are {', '.join(names)}")


def _moment(text: str) -> datetime:
    """A time to come. Raises click's BadParameter for anything else."""
    now = datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = now + age(text)
        except click.BadParameter as error:
            raise click.BadParameter(f"--until: {error.message}, or as 2026-01-31T18:00Z") from None
    if moment.tzinfo is None:
        raise click.BadParameter("--until: say the time zone, as in 2026-01-31T18:00Z")
    if moment <= now:
        raise click.BadParameter("--until: that time is over")
    return moment.astimezone(UTC)


def _in_words(one: dict[str, Any]) -> str:
    by = f" by {one['who']}" if one["state"] == "paused by hand" else ""
    after = ""
    if one["next_probe_at"]:
        after = f"; probe {one['probes'] + 1} at {_time(one['next_probe_at'])}"
    elif one["until"]:
        after = f"; resumes at {_time(one['until'])}"
    return f"{one['name']} {one['state']}{by} at {_time(one['since'])}: {one['reason']}{after}"
