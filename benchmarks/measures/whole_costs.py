"""What each processor costs alone on a platform's events, and what the whole costs the wire to the database.

CPU, WAL, statements and round trips, of a processor's event, or of a channel's message. Statements and round trips are
counted between the processes and the server, so that no driver has to be asked; BEGIN and COMMIT are statements too.
The relay's are in it. It is a run of its own, since what counts on the way takes time. A few events go ahead, so that
no start is counted; then all others come at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import effects
from benchmarks.effects import Copy
from benchmarks.measures.whole import staged, verify, wait, went_wrong
from benchmarks.measures.whole_latency import WARM
from benchmarks.rows.whole import OneProcessor, Whole
from benchmarks.stage import Failed, Stage
from benchmarks.stream import Happening, Stream, write
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
    warm, happenings = stream.happenings[:WARM], stream.happenings
    with staged(stage, row, row.cast(stage, stream)) as (place, outlet):
        wire = Wire(place)
        clients = [one.popen.pid for one in row.start(place).values()]

        def settle(some: Sequence[Happening]) -> tuple[Used, Counter[Copy]]:
            """Put in what is new of these, wait until all is done, and say what was used by then."""
            messages = _messages(row, stream, some)
            wait(place, row, outlet, row.effects(some), messages.total())
            wal = float(place.value("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
            ours, theirs = cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker))
            return Used(1e6 * ours, 1e6 * theirs, wal, *wire.count()), messages

        row.put(place, write(stage.folder / f"warm-{stream.name}.jsonl", warm))
        before, first = settle(warm)
        row.put(place, write(stage.folder / f"rest-{stream.name}.jsonl", happenings[WARM:]))
        after, messages = settle(happenings)
        taken = outlet.taken()
        if not isinstance(row, OneProcessor):
            verify(place, row, happenings, messages, taken)
        elif mistakes := went_wrong(messages, taken):
            raise Failed(f"{row.key}: {mistakes[0]}")
    by_message = isinstance(row, OneProcessor) and messages
    of = messages.total() - first.total() if by_message else len(happenings) - len(warm)
    return {name: (b - a) / of for name, a, b in zip(Used._fields, before, after, strict=True)}


def _messages(row: Whole, stream: Stream, happenings: Sequence[Happening]) -> Counter[Copy]:
    messages = effects.copies(stream, happenings)
    return effects.through(messages, row.channel) if isinstance(row, OneProcessor) else messages
