"""Latency: from an event's commit to that of its effect, at a steady rate, both by the server's clock."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.data import gifts, totals
from benchmarks.measures.drain import wait
from benchmarks.results import percentiles
from benchmarks.rows.row import Peer, Row
from benchmarks.stage import Failed, Stage

TOO_LATE = 1.0
"""Seconds: a publisher that ends so much behind has not kept the rate."""

_LATENCIES = """
    SELECT extract(epoch FROM applied.at - committed.at)::float8 * 1000
    FROM ({committed}) AS committed(event_id, at) JOIN ({applied}) AS applied(event_id, at) USING (event_id)
    ORDER BY committed.at
"""


def measure(stage: Stage, row: Row, file: Path, rate: float, seconds: float) -> dict[str, float]:
    """Percentiles in milliseconds. Raises Failed when an effect is missing, or the rate was not kept."""
    with stage.place(row.broker) as place:
        if isinstance(row, Peer):
            row.setup(place)
        row.start(place)
        said = json.loads(place.run(row.publisher(place, file, rate, seconds)))
        if said["late_s"] > TOO_LATE:
            raise Failed(f"{row.key}: the publisher was {said['late_s']} s behind {rate:,.0f} events/s")
        count = said["warm"] + said["published"]
        wait(place, row, count)
        row.verify(place, totals(gifts(count)))
        sql = _LATENCIES.format(committed=row.committed, applied=row.applied)
        values = [value for (value,) in place.db.execute(sql)]
    return percentiles(values[said["warm"] :])
