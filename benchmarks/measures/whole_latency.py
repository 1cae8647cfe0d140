"""Latency of the whole system at a steady rate: from an event's commit to the last of its effects, and to its messages.

Effects are those of writes and projections; a message is there when the provider has taken it. All times are of one
machine's clock.
"""

from __future__ import annotations

import json

from benchmarks import effects
from benchmarks.measures.latency import TOO_LATE
from benchmarks.measures.whole import staged, verify, wait
from benchmarks.results import percentiles
from benchmarks.rows.whole import Whole
from benchmarks.stage import Failed, Stage
from benchmarks.stream import Stream

WARM = 100
"""Events that go ahead: every process has sent messages through every channel before anything is measured."""

_TIMES = """
    SELECT committed.number, extract(epoch FROM committed.at)::float8,
           extract(epoch FROM max(applied.at) FILTER (WHERE NOT told))::float8
    FROM ({committed}) AS committed(number, at) JOIN ({applied}) AS applied(number, told, at) USING (number)
    GROUP BY committed.number, committed.at
"""


def measure(stage: Stage, row: Whole, stream: Stream, rate: float, seconds: float) -> dict[str, float]:
    """Percentiles in milliseconds. Raises Failed when an effect is missing or wrong, or the rate was not kept."""
    messages = effects.copies(stream, stream.happenings)
    with staged(stage, row, row.cast(stage, stream)) as (place, outlet):
        row.start(place)
        first = row.effects(stream.happenings[:WARM])
        said = json.loads(place.run(row.publisher(stream.write(stage.folder), rate, seconds, WARM, first)))
        if said["late_s"] > TOO_LATE:
            raise Failed(f"{row.key}: the publisher was {said['late_s']} s behind {rate:,.0f} events/s")
        wait(place, row, outlet, row.effects(stream.happenings), messages.total())
        taken = outlet.taken()
        verify(place, row, stream.happenings, messages, taken)
        sql = _TIMES.format(committed=row.committed, applied=row.applied)
        times = {number: (at, applied) for number, at, applied in place.db.execute(sql)}
        numbers = row.numbers(place, stream)
    measured = range(said["warm"] + 1, stream.count + 1)
    applied = [1_000 * (times[number][1] - times[number][0]) for number in measured]
    told = [1_000 * (one.at - times[number][0]) for one in taken if (number := numbers[one.reference]) in measured]
    return {**percentiles(applied), **{f"message_{name}": value for name, value in percentiles(told).items()}}
