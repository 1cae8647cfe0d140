"""What each processor costs alone on a platform's events, and what the whole costs the wire to the database.

CPU, WAL, statements and round trips, of a processor's event, or of a channel's message. Statements and round trips are
counted between the processes and the server, so that no driver has to be asked; BEGIN and COMMIT are statements too.
The relay's are in it. It is a run of its own, since what counts on the way takes time.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks import effects
from benchmarks.measures.whole import first_effects, staged, verify, wait, went_wrong
from benchmarks.rows.whole import OneProcessor, Whole
from benchmarks.stage import Failed, Stage
from benchmarks.stream import Stream
from benchmarks.usage import cpu_seconds
from benchmarks.wire import Wire


class Used(NamedTuple):
    """What was used so far."""

    client_cpu_us: float
    server_cpu_us: float
    wal_bytes: float
    statements: float
    round_trips: float


def measure(stage: Stage, row: Whole, stream: Stream) -> dict[str, float]:
    """One run. Raises Failed when something is wrong afterwards."""
    messages = effects.copies(stream, stream.happenings)
    if isinstance(row, OneProcessor):
        messages = effects.through(messages, row.channel)
    with staged(stage, row, row.backlog(stage, stream)) as (place, outlet):
        row.fill(place, stream.write(stage.folder))
        place.db.execute("ANALYZE")
        place.db.execute("CHECKPOINT")
        wire = Wire(place)
        clients = [one.popen.pid for one in row.start(place).values()]

        def used() -> Used:
            return Used(
                1e6 * cpu_seconds(clients), 1e6 * cpu_seconds(stage.server_pids(row.broker)),
                float(place.value("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")), *wire.count(),
            )  # fmt: skip

        wanted = row.effects(stream.happenings)
        begun = first_effects(place, row, wanted)
        before = used()
        wait(place, row, outlet, wanted, messages.total())
        after = used()
        taken = outlet.taken()
        if not isinstance(row, OneProcessor):
            verify(place, row, stream.happenings, messages, taken)
        elif mistakes := went_wrong(messages, taken):
            raise Failed(f"{row.key}: {mistakes[0]}")
    of = (messages.total() or wanted) if isinstance(row, OneProcessor) else stream.count
    left = of * (1 - begun / wanted) or 1.0
    return {name: (b - a) / left for name, a, b in zip(Used._fields, before, after, strict=True)}
