"""Drain: events a second from a backlog, and what each event costs in CPU and WAL.

The clock is the server's. It runs from the first commit with an effect to the last one, and the events of that first
commit do not count: so no tool pays for its start, and none gains by what it has read ahead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

from benchmarks.data import Total
from benchmarks.rows.row import Peer, Row
from benchmarks.stage import PATIENCE, Failed, Place, Stage
from benchmarks.usage import Memory, cpu_seconds

POLL = 0.5

SPAN = """
    WITH applied(event_id, at) AS ({applied}), first(at) AS (SELECT min(at) FROM applied)
    SELECT count(*) FILTER (WHERE applied.at > first.at), extract(epoch FROM max(applied.at) - min(applied.at))::float8
    FROM applied, first
"""
"""Events after the first commit, and the seconds until the last one; of ``applied``, which yields event id and time."""


def measure(stage: Stage, row: Row, file: Path, count: int, expected: Mapping[UUID, Total]) -> dict[str, float]:
    """One run over the events of a file. Raises Failed when it stalls or a total is wrong."""
    with stage.place(row.broker, row.backlog(stage, file, count)) as place:
        if isinstance(row, Peer):
            row.setup(place)
        row.fill(place, file)
        place.db.execute("ANALYZE")  # a queue that was filled a moment ago has no statistics, and bad plans
        place.db.execute("CHECKPOINT")
        wal = place.value("SELECT pg_current_wal_lsn()::text")
        clients = {name: one.popen.pid for name, one in row.start(place).items()}
        with Memory(clients) as memory:
            begun = first_effects(place, row, count)
            before = _cpu(stage, row, clients.values())
            wait(place, row, count)
            after = _cpu(stage, row, clients.values())
        written = float(place.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", wal))
        row.verify(place, expected)
        counted, seconds = place.db.execute(SPAN.format(applied=row.applied)).fetchone() or (0, 0.0)
    if not counted:
        raise Failed(f"{row.key}: all events were applied in one commit; give it more of them")
    left = count * (1 - begun / wanted(row, count)) or 1.0
    return {
        "events_per_s": counted / seconds,
        "client_cpu_us": (after[0] - before[0]) / left * 1e6,
        "server_cpu_us": (after[1] - before[1]) / left * 1e6,
        "wal_bytes": written / count,
        **{f"{_plain(name)}_mb": peak for name, peak in memory.peaks.items()},
    }


def wanted(row: Row, count: int) -> int:
    """The number of effects of this many events."""
    return count * row.effects


def first_effects(place: Place, row: Row, count: int) -> int:
    """Wait for the first effects, and say how many there are by then: what a start costs is nobody's cost per event."""
    end = time.monotonic() + PATIENCE
    while not (done := int(place.value(row.done))):
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return min(done, wanted(row, count))


def wait(place: Place, row: Row, count: int, poll: float = POLL) -> None:
    """Wait until all effects are there; look every ``poll`` seconds."""
    effects = f"effects of {row.key}"
    place.wait_for(
        lambda: int(place.value(row.done)), wanted(row, count), effects, poll=poll, alive=row.kind != "limit"
    )


def _cpu(stage: Stage, row: Row, clients: Iterable[int]) -> tuple[float, float]:
    return cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker))


def _plain(name: str) -> str:
    return name.partition(" ")[0]
