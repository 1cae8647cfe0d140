"""Archives events: writes them to a file, announces it, keeps their ids, and only then deletes them, piece by piece.

Each step is committed before the next begins, and each may be the last one of a process that is killed:

1. The file is whole, under its name and on the disk.
2. The archive is announced, unless a new processor, a letter or an attempt wants its events by now. From here on they
   count as away: no processor begins at the beginning of the log, and none of their dead letters is replayed.
3. The ids go into ``event_ids``. They are in ``events`` as well, so that nothing has changed for publishers.
4. Every transaction that may not see the ids has ended. One more look whether something wants the events.
5. The rows are deleted.

The next run goes on after 2; before, there is nothing but a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from fundlyhub.database.audited import named
from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.retention.archives.file import Written, digest_of, write
from fundlyhub.retention.archives.limits import Decision, held, judge
from fundlyhub.retention.archives.older_transactions import wait_for_older

log = getLogger(__name__)

CHUNK = 5_000
"""Events in one transaction."""
_LOCK = 0x617263  # "arc": one archive or restoration at a time

_ALONE = "SELECT pg_try_advisory_lock(%s)"
_RESTORING = "SELECT file FROM events.archives WHERE restoring_at IS NOT NULL AND restored_at IS NULL"
_BEGUN = """
    SELECT id, low, high, events, deleted, file, sha256 FROM events.archives
    WHERE finished_at IS NULL AND restored_at IS NULL ORDER BY id
"""
# A new processor is registered under the same lock.
_NO_NEW_PROCESSORS = "LOCK TABLE events.processors IN SHARE ROW EXCLUSIVE MODE"
_ANNOUNCE = """
    INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who)
    SELECT %(low)s, %(high)s, %(events)s, %(types)s, %(file)s, %(sha256)s, system_identifier, %(who)s
    FROM pg_control_system()
    RETURNING id
"""
_CHUNK = """
    WITH chunk AS (
        SELECT id, position FROM events.events WHERE position > %(after)s AND position <= %(high)s
        ORDER BY position LIMIT %(limit)s
    ), changed AS (CHANGE)
    SELECT max(position), count(*) FROM chunk
"""
_KEEP_IDS = _CHUNK.replace(
    "CHANGE", "INSERT INTO events.event_ids (id, position) SELECT id, position FROM chunk ON CONFLICT (id) DO NOTHING"
)
_FORGET_IDS = _CHUNK.replace("CHANGE", "DELETE FROM events.event_ids i USING chunk WHERE i.id = chunk.id")
# A row goes only where its id is kept, whatever else happens.
_DELETE = """
    WITH chunk AS (
        SELECT e.id, e.position FROM events.events e JOIN events.event_ids i USING (id)
        WHERE e.position > %(after)s AND e.position <= %(high)s ORDER BY e.position LIMIT %(limit)s
    ), gone AS (
        DELETE FROM events.events e USING chunk WHERE e.position = chunk.position AND e.id = chunk.id
        RETURNING e.position
    ), counted AS (
        UPDATE events.archives SET deleted = deleted + (SELECT count(*) FROM gone) WHERE id = %(id)s
    )
    SELECT max(position), count(*) FROM gone
"""
_THERE = "SELECT count(*) FROM events.events WHERE position BETWEEN %(low)s AND %(high)s"
_FINISH = "UPDATE events.archives SET finished_at = clock_timestamp() WHERE id = %s"
_WITHDRAW = "DELETE FROM events.archives WHERE id = %s AND deleted = 0"
# Plans that were made while the table was empty are made anew.
_ANALYZE = "ANALYZE events.event_ids"

Tell = Callable[[str, int, int], None]
"""Told what is done, how much of it and of how much; it raises when it is time to stop."""


class Begun(NamedTuple):
    """An archive that is announced, and whose rows are not all gone from the log."""

    id: int
    low: int
    high: int
    events: int
    deleted: int
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Archived:
    """What a run came to: archives that a former run had begun, what was decided, and the file of this run."""

    resumed: tuple[Begun, ...]
    decision: Decision
    written: Written | None = None


@contextmanager
def alone(db: psycopg.Connection[Any]) -> Iterator[None]:
    """Archive or restore alone. Raises WrongState when another process does so at the time."""
    db.execute("SET statement_timeout = '6h'")
    (taken,) = db.execute(_ALONE, (_LOCK,)).fetchone() or (False,)
    if not taken:
        raise WrongState("another process archives or restores events now: wait until it has ended")
    try:
        yield
    finally:
        if not db.closed:
            db.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def begun(db: psycopg.Connection[Any]) -> list[Begun]:
    """Archives that a former run has announced and not finished. Raises WrongState when one is being restored."""
    if row := db.execute(_RESTORING).fetchone():
        raise WrongState(f"{row[0]} is not restored to its end: run `fundlyhub events restore` with it first")
    return [Begun(*row) for row in db.execute(_BEGUN)]


def archive(
    db: psycopg.Connection[Any], wanted: int, horizon: timedelta, folder: Path, *, who: str, tell: Tell
) -> Archived:
    """Archive the log up to ``wanted``, as far as it may be. ``db`` is an autocommit connection to the Events DB.

    Finishes first what a former run has begun. Raises WrongState when another process is at it, or when something needs
    the events meanwhile: then nothing has gone; Unavailable when the file cannot be written.
    """
    who = named(who)
    with alone(db):
        resumed = begun(db)
        for one in resumed:
            _move(db, one, tell)
        decision = judge(db, wanted, horizon)
        if decision.high < decision.low or not _there(db, decision.low, decision.high):
            return Archived(tuple(resumed), decision)
        written = _write(db, decision, folder, tell)
        _move(db, _announce(db, written, horizon, who), tell)
        log.info("%d events archived by %s, up to position %d: %s", written.events, who, written.high, written.file)
        return Archived(tuple(resumed), decision, written)


def _write(db: psycopg.Connection[Any], decision: Decision, folder: Path, tell: Tell) -> Written:
    total, done = _there(db, decision.low, decision.high), 0

    def going(events: int) -> None:
        nonlocal done
        done += events
        tell("writing", done, total)

    return write(db, decision.low, decision.high, folder, going)


def _announce(db: psycopg.Connection[Any], written: Written, horizon: timedelta, who: str) -> Begun:
    with db.transaction():
        try:
            db.execute(_NO_NEW_PROCESSORS)
        except psycopg.errors.LockNotAvailable:
            written.file.unlink()
            raise Unavailable("a relay is registering its processors just now: try again in a moment") from None
        if against := judge(db, written.high, horizon).kept_by:
            written.file.unlink()
            raise WrongState(f"nothing was archived, since meanwhile {against[0]}")
        given = {
            "low": written.low, "high": written.high, "events": written.events, "types": Jsonb(written.types),
            "file": str(written.file), "sha256": written.sha256, "who": who,
        }  # fmt: skip
        (id,) = db.execute(_ANNOUNCE, given).fetchone() or (0,)
    return Begun(id, written.low, written.high, written.events, 0, str(written.file), written.sha256)


def _move(db: psycopg.Connection[Any], one: Begun, tell: Tell) -> None:
    """From the announcement to the end. Raises WrongState when its file is not there as it was written."""
    _require_file(db, one, tell)
    _chunks(db, _KEEP_IDS, one, lambda done: tell("keeping ids", done, one.events - one.deleted), analyze=True)
    wait_for_older(db, lambda left: tell(f"waiting for {left} older transactions", 0, 0))
    _last_look(db, one, tell)
    _chunks(db, _DELETE, one, lambda done: tell("deleting", one.deleted + done, one.events))
    if left := _there(db, one.low, one.high):
        raise WrongState(f"{left:,} events are still in the log that {one.file} was to hold: nothing is lost")
    db.execute(_FINISH, (one.id,))


def _last_look(db: psycopg.Connection[Any], one: Begun, tell: Tell) -> None:
    """Nothing wants these events, and they are those of the file; else the archive is withdrawn.

    A replay looks for announced archives first; transactions that could not see this one have ended by now. Once the
    first row has gone there is no way back but to restore.
    """
    against = [str(limit) for limit in held(db, one.low, one.high)] if not one.deleted else []
    there = _there(db, one.low, one.high)
    if there != one.events - one.deleted:
        against.append(f"the log has {there:,} events there, and the file {one.events - one.deleted:,}")
    if not against:
        return
    if one.deleted:
        raise WrongState(f"{one.file}: {against[0]}; nothing more was deleted")
    _withdraw(db, one, tell)
    Path(one.file).unlink()
    raise WrongState(f"nothing was archived, since meanwhile {against[0]}")


def _require_file(db: psycopg.Connection[Any], one: Begun, tell: Tell) -> None:
    """What a former run has written must be where it was, before more of it is deleted."""
    with suppress(OSError):
        if digest_of(Path(one.file)) == one.sha256:
            return
    if one.deleted:
        raise WrongState(f"{one.file} is gone or damaged, and {one.deleted:,} of its events are deleted: put it back")
    _withdraw(db, one, tell)
    raise WrongState(f"{one.file} is gone or damaged: its archive was withdrawn, and nothing was deleted")


def _withdraw(db: psycopg.Connection[Any], one: Begun, tell: Tell) -> None:
    """Take back an announcement of which no row has gone."""
    _chunks(db, _FORGET_IDS, one, lambda done: tell("withdrawing", done, one.events))
    db.execute(_WITHDRAW, (one.id,))


def _chunks(
    db: psycopg.Connection[Any], statement: str, one: Begun, tell: Callable[[int], None], *, analyze: bool = False
) -> None:
    """Run a statement over a range, piece by piece, each a transaction of its own."""
    after, done = one.low - 1, 0
    while True:
        given = {"id": one.id, "after": after, "high": one.high, "limit": CHUNK}
        last, count = db.execute(statement.encode(), given).fetchone() or (None, 0)
        if last is None:
            break
        if analyze and not done:
            db.execute(_ANALYZE)
        after, done = last, done + count
        tell(done)
    if analyze:
        db.execute(_ANALYZE)


def _there(db: psycopg.Connection[Any], low: int, high: int) -> int:
    (count,) = db.execute(_THERE, {"low": low, "high": high}).fetchone() or (0,)
    return int(count)


def stopped() -> Unavailable:
    """What to raise when a signal came: nothing is lost, and the next run goes on."""
    return Unavailable("stopped before the end; nothing is lost: run it again, and it goes on")
