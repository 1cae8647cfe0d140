"""The whole system: all effects and all messages of a platform's events, drained from a backlog.

The clock runs from the first commit with an effect to the last effect, or to the last message that the provider took;
the effects of that first commit do not count. The provider is a process of its own, and what it costs is told apart.
Afterwards the tables must be as the data says, and each message must have gone out once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from benchmarks import effects
from benchmarks.effects import Copy
from benchmarks.provider import Provider, Taken
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
_FILES = "SELECT id::text, channel, state FROM app.notifications"


def measure(stage: Stage, row: Whole, stream: Stream) -> dict[str, float]:
    """One run over a stream. Raises Failed when it stalls, or when an effect or a message is wrong."""
    file = stream.write(stage.folder / f"stream-{stream.count}.jsonl")
    with stage.place(row.broker, row.backlog(stage, stream)) as place:
        provider = Provider(place) if row.over_http else None
        row.fill(place, file)
        place.db.execute("ANALYZE")
        place.db.execute("CHECKPOINT")
        wal = place.value("SELECT pg_current_wal_lsn()::text")
        clients = [one.popen.pid for one in row.start(place).values()]
        wanted = row.effects(stream.happenings)
        begun = _begun(place, row, wanted)
        before = _cpu(stage, row, clients, provider)
        wait(place, row, wanted)
        messages = effects.copies(stream, stream.happenings)
        if provider is not None:
            place.wait_for(provider.count, messages.total(), "messages", poll=0.02, alive=row.kind != "limit")
        after = _cpu(stage, row, clients, provider)
        written = float(place.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", wal))
        taken = provider.taken() if provider is not None else None
        verify(place, row, stream.happenings, messages, taken)
        made, at_first, first, last = place.db.execute(_SPAN.format(applied=row.applied)).fetchone() or (0, 0, 0.0, 0.0)
    if made == at_first:
        raise Failed(f"{row.key}: all effects were made in one commit; give it more events")
    last = max(last, max((one.at for one in taken), default=last)) if taken else last
    left = stream.count * (1 - begun / wanted) or 1.0
    names = ("client_cpu_us", "server_cpu_us", "provider_cpu_us")
    return {
        "events_per_s": stream.count * (1 - at_first / made) / (last - first),
        "messages_per_s": messages.total() / (last - first),
        **{name: (b - a) / left * 1e6 for name, a, b in zip(names, before, after, strict=True)},
        "wal_bytes": written / stream.count,
    }


def wait(place: Place, row: Whole, wanted: int) -> None:
    """Wait until all effects are there."""
    place.wait_for(
        lambda: int(place.value(row.done)), wanted, f"effects of {row.key}", poll=POLL, alive=row.kind != "limit"
    )


def _begun(place: Place, row: Whole, wanted: int) -> int:
    """Wait for the first effects, and say how many there are by then: what a start costs is nobody's cost per event."""
    end = time.monotonic() + PATIENCE
    while not (done := int(place.value(row.done))) and time.monotonic() < end:
        time.sleep(0.02)
    return min(done, wanted)


def _cpu(stage: Stage, row: Whole, clients: Sequence[int], provider: Provider | None) -> tuple[float, float, float]:
    """CPU seconds so far: of the row's processes, of its servers, and of the provider."""
    theirs = [provider.process.popen.pid] if provider else []
    return cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker)), cpu_seconds(theirs)


def verify(
    place: Place, row: Whole, happenings: Sequence[Happening], messages: Counter[Copy], taken: Sequence[Taken] | None
) -> None:
    """Raise Failed unless all effects are there, and each message went out once, to whom it must."""
    mistakes = effects.wrong(effects.expected(happenings), effects.found(place.db))
    mistakes += _messages(messages, taken) if taken is not None else _files(place, messages)
    if mistakes:
        raise Failed(f"{row.key}: {len(mistakes)} tables are wrong; {mistakes[0]}")


def _messages(messages: Counter[Copy], taken: Sequence[Taken]) -> list[str]:
    went = Counter(one.copy for one in taken)
    return effects.wrong({"messages": Counter(messages)}, {"messages": Counter(went)})


def _files(place: Place, messages: Counter[Copy]) -> list[str]:
    """What the ledger says was sent is in one file each, and of each channel there are as many as there must be."""
    sent = Counter((id, channel) for id, channel, state in place.db.execute(_FILES) if state == "sent")
    files = Counter(
        (file.stem.split("-", 1)[1], file.parent.name) for file in (place.folder / "outbox").glob("*/[0-9]*")
    )
    by_channel = Counter(one.channel for one in messages.elements())
    found: effects.State = {"files": files, "channels": Counter(channel for _, channel in files.elements())}
    return effects.wrong({"files": sent, "channels": by_channel}, found)
