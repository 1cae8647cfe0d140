"""Health checks of workers and processors, for `fundlyhub health`."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from fundlyhub.database import connect
from fundlyhub.database.rebuilt import running
from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.blocked import blocked
from fundlyhub.monitoring.servers import broker
from fundlyhub.monitoring.waiting import Log
from fundlyhub.processing import registry
from fundlyhub.processing.pauses import IN_FORCE
from fundlyhub.processing.processor import Queue
from fundlyhub.processing.queues import QUEUES, seen
from fundlyhub.processing.task_names import REBUILDS
from fundlyhub.settings import Branch, Settings

EFFECTS: tuple[Branch, ...] = ("app", "analytics")
"""The databases whose tables are rebuilt."""


def workers_run(settings: Settings) -> str:
    """Check that a worker consumes each queue. Raises Unavailable that names the queues without one.

    That of rebuilds needs one only while tables are rebuilt.
    """
    wanted: set[Queue] = {processor.queue for processor in registry.processors().values()} or {*QUEUES} - {REBUILDS}
    if _rebuilt(settings):
        wanted.add(REBUILDS)
    with broker(settings) as connection:
        found = seen(connection, settings.broker_is_amqp, [queue for queue in QUEUES if queue in wanted])
    idle = [queue for queue, one in found.items() if not one.consumers]
    if idle:
        raise Unavailable(
            f"no worker consumes {', '.join(idle)}: start one (`celery -A fundlyhub worker -Q {','.join(idle)}`)"
        )
    return ", ".join(f"{queue}: {one.consumers}" for queue, one in found.items())


def processors_keep_up(settings: Settings, max_wait: float) -> str:
    """Check that no event waits too long for an unpaused processor. Raises Unavailable that names the slowest."""
    paused = {name for name, *_ in _pauses(settings)}
    oldest: dict[str, tuple[float, int]] = {}
    processors = {name: one for name, one in registry.processors().items() if name not in paused}
    for branch in sorted({processor.database for processor in processors.values()}):
        with (
            connect("events", settings=settings, autocommit=True) as db,
            connect(branch, settings=settings, autocommit=True) as effects,
        ):
            here = {name: processor for name, processor in processors.items() if processor.database == branch}
            log = Log(db, effects, here.values())
            for name, processor in here.items():
                waiting = log.waiting(processor)
                oldest[name] = (waiting.oldest, waiting.events)
    slow = {name: waits for name, waits in oldest.items() if waits[0] > max_wait}
    if slow:
        name, (seconds, events) = max(slow.items(), key=lambda item: item[1])
        others = f", as {len(slow) - 1} other processors are" if len(slow) > 1 else ""
        raise Unavailable(
            f"{events:,} events wait for {name}, the oldest for {seconds:.0f} s{others}: more than {max_wait:g} s; "
            "see `fundlyhub status`"
        )
    return f"the oldest event waits for {max((age for age, _ in oldest.values()), default=0.0):.1f} s"


def processors_run(settings: Settings) -> str:
    """Check that no processor has paused itself or lacks something. Raises Unavailable with the reasons."""
    with connect("events", settings=settings, autocommit=True) as db:
        stopped = blocked(db)
    rows = _pauses(settings)
    wrong = []
    if itself := [f"{name} ({reason})" for name, kind, reason in rows if kind == "burst"]:
        wrong.append(f"paused itself: {'; '.join(itself)}; see `fundlyhub processors list`")
    if lacking := [f"{name}: {one.events:,} events wait ({one.reason})" for name, one in stopped.items()]:
        wrong.append(f"blocked: {'; '.join(lacking)}; see `fundlyhub waiting`")
    if wrong:
        raise Unavailable("; ".join(wrong))
    by_hand = sorted({name for name, _, _ in rows})
    return f"paused by hand: {', '.join(by_hand)}" if by_hand else "none is paused"


def _rebuilt(settings: Settings) -> bool:
    """Whether tables are being rebuilt. A database that is away, or lacks the tables, is another check's finding."""
    for branch in EFFECTS:
        with suppress(Unavailable, psycopg.Error), connect(branch, settings=settings, autocommit=True) as db:
            if running(db, branch):
                return True
    return False


def _pauses(settings: Settings) -> list[tuple[str, str, str]]:
    """Processor, kind and reason of each pause."""
    with connect("events", settings=settings, autocommit=True) as db:
        return [(name, kind, reason) for name, kind, reason in db.execute(IN_FORCE)]
