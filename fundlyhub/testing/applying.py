"""Applies events as workers do, in this process: loaded from the log, claimed, handled and settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.database import connect
from fundlyhub.events import Event, Payload, publish_events
from fundlyhub.processing import registry
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.report import Report
from fundlyhub.processing.routing import apart
from fundlyhub.relay.cursor import SnapshotCursor
from fundlyhub.relay.leader import try_to_lead
from fundlyhub.relay.registration import register
from fundlyhub.relay.relay import NAME
from fundlyhub.settings import get_settings

PAGE = 2_000
"""Events that one step of ``drain`` relays."""
ROUNDS = 1_000
"""Steps after which ``drain`` gives up: something publishes as fast as it is applied."""
_WELL = frozenset({"done", "skipped"})
_WHY = """
    SELECT position, error_class, error_message FROM events.dead_letters
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[]) AND state = 'open'
    UNION ALL
    SELECT position, error_class, reason FROM events.attempts
    WHERE processor = %(processor)s AND position = ANY (%(positions)s::bigint[])
    ORDER BY 1 LIMIT 5
"""


def apply(
    processor: type[Processor], events: Iterable[Payload | Event], *, batch_size: int | None = None, check: bool = True
) -> Report:
    """Publish what is not in the log yet, and run one processor on it, in batches of its own size.

    An event that is applied already is skipped, as for a worker. With ``check`` an event that was not applied raises
    AssertionError with what its attempt or its dead letter says; without, the report tells how many had which outcome.

    ::

        from fundlyhub.testing import apply, build

        def test_a_donation_counts(fundlyhub_settings):
            gift = build("donation.completed")
            apply(LeaderboardProcessor, [gift, gift])  # two events of one donation
    """
    given = list(events)
    fresh = iter(publish_events([one for one in given if isinstance(one, Payload) or one.position is None]))
    logged = [one if isinstance(one, Event) and one.position is not None else next(fresh) for one in given]
    positions = [one.position for one in logged if one.position is not None]
    size, report = batch_size or processor.batch_size, Report()
    for start in range(0, len(positions), size):
        report += execute(processor, positions[start : start + size], ends_wait=True)
    if check and set(report.outcomes) - _WELL:
        raise AssertionError(f"{processor.name}: {dict(report.outcomes)}: {_why(processor.name, positions)}")
    return report


@dataclass(slots=True)
class Drained:
    """What ``drain`` did: events applied per processor, and what is left of them by processor and outcome."""

    applied: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)


def drain(processors: Mapping[str, type[Processor]] | None = None, *, check: bool = True) -> Drained:
    """Relay the log and apply what it routes, in this process, until nothing is left; then see what is not applied.

    The relay's own cursor reads the log and its router makes the batches, but no broker is asked: each batch runs at
    once. A retry runs at once too, until it succeeds or the event is dead; a snoozed event is left waiting.
    ``processors`` are all that are registered, those of installed packages too, unless they are given. With ``check``
    an event that is dead or waiting raises AssertionError. Raises it too when a relay leads already.

    ::

        from fundlyhub import publish_event
        from fundlyhub.testing import build, drain

        def test_a_donation_is_on_the_board(fundlyhub_settings):
            publish_event(build("donation.completed"))
            assert drain().applied["leaderboard"] == 1
    """
    known = registry.load(get_settings().processors) if processors is None else processors
    done, left = Drained(), set[tuple[str, int]]()
    with connect("events", autocommit=True, session=True) as db:
        if not try_to_lead(db, NAME):
            raise AssertionError("a relay leads on this database: stop it, or wait for its workers")
        register(db, known)
        cursor = SnapshotCursor.take(db, NAME)
        for _ in range(ROUNDS):
            moved = _step(cursor, known, done, left)
            more = [one for one in known.values() if one.has_more()]
            for processor in more:
                processor().afterwards()
            if not moved and not more:
                break
        else:
            raise AssertionError(f"there is more to do after {ROUNDS} rounds")
    if check and left:
        name, _ = min(left)
        raise AssertionError(f"not applied: {sorted(left)[:5]}: {_why(name, [at for one, at in left if one == name])}")
    return done


def _step(
    cursor: SnapshotCursor, known: Mapping[str, type[Processor]], done: Drained, left: set[tuple[str, int]]
) -> bool:
    """Relay one page and run its batches; whether there was one."""
    if not cursor.open():
        return False
    rows = cursor.page(PAGE)
    for batch in apart(known.values(), [(position, kind) for position, kind, _ in rows]):
        _run(batch.processors[0], list(batch.positions), done, left)
    cursor.move(rows[-1][0] if len(rows) == PAGE else None)
    return True


def _run(processor: type[Processor], positions: list[int], done: Drained, left: set[tuple[str, int]]) -> None:
    """Run a batch, and its retries, as often as the processor lets an event try."""
    for _ in range(processor.max_attempts + 1):
        report = execute(processor, positions, ends_wait=True)
        if applied := report.outcomes["done"]:
            done.applied[processor.name] += applied
        retried = [at for at, outcome in report.failed.items() if outcome == "retry"]
        for at, outcome in report.failed.items():
            if outcome != "retry":
                (done.dead if outcome == "dead" else done.waiting)[processor.name] += 1
                left.add((processor.name, at))
        unrun = {at for one in report.resend for at in one.positions} - set(report.failed)
        positions = sorted({*retried, *unrun})
        if not positions:
            return
    left.update((processor.name, at) for at in positions)
    done.waiting[processor.name] += len(positions)


def _why(name: str, positions: list[int]) -> str:
    """What the database says of events that were not applied; our own words, and no value of an event."""
    with connect("events", autocommit=True) as db:
        rows: list[Any] = db.execute(_WHY, {"processor": name, "positions": positions}).fetchall()
    return "; ".join(f"position {at}: {kind}: {words}" for at, kind, words in rows) or "nothing is written down"
