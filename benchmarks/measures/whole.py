"""The whole system: all effects and all messages of a platform's events, drained from a backlog.

The clock runs from the first commit with an effect to the last effect, or to the last message that was taken; the
effects of that first commit do not count. Where messages go is a process of its own, and what it costs is told apart.
Afterwards the tables must be as the data says, and each message must have gone out once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks import effects
from benchmarks.effects import Copy
from benchmarks.outlets import Outlet, OverHttp, Taken, ToFiles
from benchmarks.rows.whole import Whole
from benchmarks.stage import PATIENCE, Failed, Place, Stage
from benchmarks.stream import Happening, Stream
from benchmarks.usage import cpu_seconds

POLL = 0.5

_SPAN = """
    WITH applied(number, told, at) AS ({applied}), first(at) AS (SELECT min(at) FROM applied)
    SELECT count(*), count(*) FILTER (WHERE applied.at = first.at),
           extract(epoch FROM min(applied.at))::float8, extract(epoch FROM max(applied.at))::float8
    FROM applied, first
"""


def measure(stage: Stage, row: Whole, stream: Stream) -> dict[str, float]:
    """One run over a stream. Raises Failed when it stalls, or when an effect or a message is wrong."""
    messages = effects.copies(stream, stream.happenings)
    with staged(stage, row, row.backlog(stage, stream)) as (place, outlet):
        row.fill(place, stream.write(stage.folder))
        place.db.execute("ANALYZE")
        place.db.execute("CHECKPOINT")
        wal = place.value("SELECT pg_current_wal_lsn()::text")
        clients = [one.popen.pid for one in row.start(place).values()]
        wanted = row.effects(stream.happenings)
        begun = first_effects(place, row, wanted)
        before = _cpu(stage, row, clients, outlet)
        wait(place, row, outlet, wanted, messages.total())
        after = _cpu(stage, row, clients, outlet)
        written = float(place.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", wal))
        taken = outlet.taken()
        verify(place, row, stream.happenings, messages, taken)
        made, at_first, first, last = place.db.execute(_SPAN.format(applied=row.applied)).fetchone() or (0, 0, 0.0, 0.0)
    if made == at_first:
        raise Failed(f"{row.key}: all effects were made in one commit; give it more events")
    seconds = max(last, *(one.at for one in taken)) - first
    left = stream.count * (1 - begun / wanted) or 1.0
    names = ("client_cpu_us", "server_cpu_us", "provider_cpu_us")
    return {
        "events_per_s": stream.count * (1 - at_first / made) / seconds,
        "messages_per_s": messages.total() / seconds,
        **{name: (b - a) / left * 1e6 for name, a, b in zip(names, before, after, strict=True)},
        "wal_bytes": written / stream.count,
    }


@contextmanager
def staged(stage: Stage, row: Whole, template: str) -> Iterator[tuple[Place, Outlet]]:
    """A place for a row, and where its messages go."""
    with stage.place(row.broker, template) as place:
        yield place, OverHttp(place) if row.over_http else ToFiles(place)


def wait(place: Place, row: Whole, outlet: Outlet, wanted: int, messages: int) -> None:
    """Wait until all effects are there, and all messages are taken."""
    alive, what = row.kind != "limit", f"effects of {row.key}"
    place.wait_for(lambda: int(place.value(row.done)), wanted, what, poll=POLL, alive=alive)
    place.wait_for(outlet.count, messages, f"messages of {row.key}", poll=0.02, alive=alive)


def first_effects(place: Place, row: Whole, wanted: int) -> int:
    """Wait for the first effects, and say how many there are by then: what a start costs is nobody's cost per event."""
    end = time.monotonic() + PATIENCE
    while not (done := int(place.value(row.done))) and time.monotonic() < end:
        time.sleep(0.02)
    return min(done, wanted)


def _cpu(stage: Stage, row: Whole, clients: Iterable[int], outlet: Outlet) -> tuple[float, float, float]:
    """CPU seconds so far: of the row's processes, of its servers, and of the provider."""
    return cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker)), cpu_seconds(outlet.pids)


def verify(
    place: Place, row: Whole, happenings: Sequence[Happening], messages: Counter[Copy], taken: Sequence[Taken]
) -> None:
    """Raise Failed unless all effects are there, and each message went out once, to whom it must."""
    mistakes = effects.wrong(effects.expected(happenings), effects.found(place.db))
    mistakes += went_wrong(messages, taken)
    if mistakes:
        raise Failed(f"{row.key}: {len(mistakes)} of its effects are wrong; {mistakes[0]}")


def went_wrong(messages: Counter[Copy], taken: Sequence[Taken]) -> list[str]:
    """Where the messages that were taken are not those that must go out."""
    return effects.wrong({"messages": messages}, {"messages": Counter(one.copy for one in taken)})
