"""`fundlyhub events archive`, `archives` and `restore`: old events out of the log into files, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fundlyhub.cli.operator import by_option
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.cli.wiring import known_processors, stop_on_signals
from fundlyhub.database import connect
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.retention import log_marks
from fundlyhub.retention.archives.archive import Archived, Begun, Tell, archive, begun, stopped
from fundlyhub.retention.archives.limits import Decision, judge
from fundlyhub.retention.archives.restore import restore
from fundlyhub.retention.horizon import horizon
from fundlyhub.settings import get_settings

_ARCHIVES = """
    SELECT low, high, events, file, who, archived_at,
           CASE WHEN restored_at IS NOT NULL THEN 'restored' WHEN restoring_at IS NOT NULL THEN 'restored in part'
                WHEN finished_at IS NOT NULL THEN 'away' ELSE 'away in part' END
    FROM events.archives ORDER BY id
"""
_DAY = timedelta(days=1)


@click.command("archive")
@click.option("--before-position", type=click.IntRange(1), metavar="N", help="Archive events below this position.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Archive events that are so old.")
@click.option(
    "--to", "folder", metavar="DIR", help="Where the file goes; it must outlive this machine.",
    type=click.Path(exists=True, file_okay=False, writable=True, resolve_path=True, path_type=Path),
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be archived and what holds back the rest; do nothing.")
@by_option
@json_option
def put_away(
    before_position: int | None, older_than: float | None, folder: Path | None, dry_run: bool, who: str, as_json: bool
) -> None:  # fmt: skip
    """Move the oldest events into a file, and delete them from the log. Their ids are never published again.

    It goes no further than every reader of the log has come, and stops before an open dead letter, an attempt or an
    event that the quarantine is tied to: it says what holds it back. Stop it whenever you like: the next run goes on.
    `fundlyhub events restore FILE` brings them back.
    """
    if (before_position is None) == (older_than is None):
        raise WrongUse("give either --before-position N or --older-than DAYS")
    if folder is None and not dry_run:
        raise WrongUse("--to DIR: say where the file goes")
    least = horizon(get_settings(), known_processors())
    if older_than is not None and older_than < least / _DAY:
        raise WrongUse(f"--older-than must be at least {least / _DAY:.2f}: so many days an event may be on its way")
    require_current("events")
    with connect("events", autocommit=True, session=True) as db:
        if before_position is not None:
            wanted = before_position - 1
        else:
            wanted = log_marks.older_than(db, timedelta(days=older_than or 0))
        if folder is None or dry_run:
            done = Archived(tuple(begun(db)), judge(db, wanted, least))
        else:
            with _progress() as tell:
                done = archive(db, wanted, least, folder, who=who, tell=tell)
    print_json(_as_dict(done, dry_run)) if as_json else _print(done, dry_run)


@click.command("archives")
@json_option
def show(as_json: bool) -> None:
    """All archives of this log: which positions, in which file, and whether they are away or restored."""
    require_current("events")
    names = ("low", "high", "events", "file", "who", "archived_at", "state")
    with connect("events", autocommit=True) as db:
        found = [dict(zip(names, row, strict=True)) for row in db.execute(_ARCHIVES)]
    if as_json:
        print_json([{**one, "archived_at": one["archived_at"].isoformat()} for one in found])
        return
    rows = [[*one.values()] for one in found]
    print_table("Archives", ("from", "to", "events", "file", "by", "at", "state"), rows)


@click.command("restore")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
)  # fmt: skip
@by_option
@json_option
def bring_back(files: tuple[Path, ...], who: str, as_json: bool) -> None:
    """Bring archived events back into the log, with their ids and positions. Doing it twice is harmless."""
    require_current("events")
    with connect("events", autocommit=True, session=True) as db, _progress() as tell:
        done = [{"file": str(file), "restored": restore(db, file, who=who, tell=tell)} for file in files]
    if as_json:
        print_json(done)
        return
    for one in done:
        click.echo(f"{one['file']}: " + (f"{one['restored']:,} events" if one["restored"] else "was restored before"))


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on stderr, where that is a terminal; a signal is heard between two steps."""
    stop = stop_on_signals(limit=None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            if stop.is_set():
                raise stopped()
            progress.update(task, description=what.capitalize(), completed=done, total=total or None)

        yield tell


def _as_dict(done: Archived, dry_run: bool) -> dict[str, Any]:
    some = done.written is not None
    return {
        "dry_run": dry_run,
        "file": str(done.written.file) if done.written else None,
        "low": done.decision.low if some or dry_run else None,
        "high": done.decision.high if some or dry_run else None,
        "events": done.written.events if done.written else 0,
        "kept_by": [{"above": above, "why": why} for above, why in done.decision.kept_by],
        "resumed": [one.file for one in done.resumed],
    }


def _print(done: Archived, dry_run: bool) -> None:
    for one in done.resumed:
        click.echo(_resumed(one, dry_run))
    if done.written:
        click.echo(f"{done.written.events:,} events, {_range(done.decision)}, are in {done.written.file}")
    elif dry_run and done.decision.low <= done.decision.high:
        click.echo(f"{_range(done.decision)} would be archived")
    elif done.decision.kept_by:
        click.echo(f"Nothing {'would be' if dry_run else 'was'} archived")
    else:
        click.echo("Nothing to archive: the log has no such event")
    for limit in done.decision.kept_by:
        click.echo(str(limit), err=True)


def _resumed(one: Begun, dry_run: bool) -> str:
    return f"{one.file}: a former run had begun it; its end {'comes first' if dry_run else 'was made up for'}"


def _range(decision: Decision) -> str:
    return f"positions {decision.low:,} to {decision.high:,}"
