"""`fundlyhub events archive`, `archives` and `restore`: move old events from the log into files, and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from psycopg.rows import dict_row

from fundlyhub.cli.databases import log_connection
from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times
from fundlyhub.cli.stoppable import stoppable_progress
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import WrongUse
from fundlyhub.retention import log_marks
from fundlyhub.retention.archives.archive import Archived, Begun, archive, begun
from fundlyhub.retention.archives.limits import Decision, judge
from fundlyhub.retention.archives.restore import restore
from fundlyhub.retention.horizon import horizon
from fundlyhub.settings import get_settings

_ARCHIVES = """
    SELECT low, high, events, file, who, account, role, archived_at,
           CASE WHEN restored_at IS NOT NULL THEN 'restored' WHEN restoring_at IS NOT NULL THEN 'restored in part'
                WHEN finished_at IS NOT NULL THEN 'away' ELSE 'away in part' END AS state
    FROM events.archives ORDER BY id
"""
_DAY = timedelta(days=1)


@click.command("archive")
@click.option("--before-position", type=click.IntRange(1), metavar="N", help="Archive events below this position.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Archive events that are older than this.")
@click.option(
    "--to", "folder", metavar="DIR", help="Folder for the file; use storage that outlives this machine.",
    type=click.Path(exists=True, file_okay=False, writable=True, resolve_path=True, path_type=Path),
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be archived and what holds back the rest; do nothing.")
@by_option
@answers
def put_away(
    before_position: int | None, older_than: float | None, folder: Path | None, dry_run: bool, who: str
) -> Answer:
    """Move the oldest events into a file, and delete them from the log. Their ids are never published again.

    Only events that every reader of the log has passed are archived, and none from the first open dead letter, attempt
    or event of the quarantine on; the command says what holds it back. You can stop it at any time: the next run goes
    on. `fundlyhub events restore FILE` brings the events back.
    """
    if (before_position is None) == (older_than is None):
        raise WrongUse("give either --before-position N or --older-than DAYS")
    if folder is None and not dry_run:
        raise WrongUse("--to DIR: say where the file goes")
    least = horizon(get_settings(), known_processors())
    if older_than is not None and older_than < least / _DAY:
        raise WrongUse(f"--older-than must be at least {least / _DAY:.2f}: so many days an event may be on its way")
    with log_connection(session=True) as db:
        if before_position is not None:
            wanted = before_position - 1
        else:
            wanted = log_marks.older_than(db, timedelta(days=older_than or 0))
        if folder is None or dry_run:
            done = Archived(tuple(begun(db)), judge(db, wanted, least))
        else:
            with stoppable_progress() as tell:
                done = archive(db, wanted, least, folder, who=who, tell=tell)
    return Answer(_as_dict(done, dry_run), *_parts(done, dry_run))


@click.command("archives")
@answers
def show() -> Answer:
    """List all archives of this log: positions, file, and whether the events are away or restored."""
    with log_connection() as db:
        found = db.cursor(row_factory=dict_row).execute(_ARCHIVES).fetchall()
    columns = ("from", "to", "events", "file", "by", "account", "role", "at", "state")
    table = Table("Archives", columns, [list(row.values()) for row in found], optional=("role", "account"))
    return Answer([iso_times(row) for row in found], table)


@click.command("restore")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
)  # fmt: skip
@by_option
@answers
def bring_back(files: tuple[Path, ...], who: str) -> Answer:
    """Restore archived events into the log, with their ids and positions. Doing it twice is harmless."""
    with log_connection(session=True) as db, stoppable_progress() as tell:
        restored = [(str(file), restore(db, file, who=who, tell=tell)) for file in files]
    return Answer(
        [{"file": file, "restored": events} for file, events in restored],
        *(f"{file}: " + (f"{events:,} events" if events else "was restored before") for file, events in restored),
    )


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


def _parts(done: Archived, dry_run: bool) -> Iterator[str]:
    for one in done.resumed:
        yield _resumed(one, dry_run)
    if done.written:
        yield f"{done.written.events:,} events, {_range(done.decision)}, are in {done.written.file}"
    elif dry_run and done.decision.low <= done.decision.high:
        yield f"{_range(done.decision)} would be archived"
    elif done.decision.kept_by:
        yield f"Nothing {'would be' if dry_run else 'was'} archived"
    else:
        yield "Nothing to archive: the log has no such event"
    for limit in done.decision.kept_by:
        yield Aside(limit)


def _resumed(one: Begun, dry_run: bool) -> str:
    return f"{one.file}: a former run had begun it; its end {'comes first' if dry_run else 'was made up for'}"


def _range(decision: Decision) -> str:
    return f"positions {decision.low:,} to {decision.high:,}"
