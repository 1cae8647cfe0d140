"""Sends events whose wait is over: the rows of ``attempts`` that are due, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from fundlyhub.processing.attempts import lease
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import batches

PAGE = 5_000
"""Events that are sent at a time."""

# What is sent now is not sent again before the lease is over, should its message be lost too.
_DUE = """
    UPDATE events.attempts a SET next_at = statement_timestamp() + make_interval(secs => %(lease)s)
    FROM (SELECT processor, position FROM events.attempts
          WHERE next_at < clock_timestamp() - interval '5 seconds' AND processor = ANY (%(processors)s)
          ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) due
    WHERE a.processor = due.processor AND a.position = due.position
    RETURNING a.processor, a.position, a.next_at
"""


def send_due(db: psycopg.Connection[Any], publisher: Publisher, processors: Mapping[str, type[Processor]]) -> int:
    """Send a page of what is due for these processors; how many events it was.

    ``db`` is an autocommit connection to the Events DB.
    """
    groups: dict[str, list[int]] = {}
    with db.transaction():
        rows = db.execute(_DUE, {"processors": list(processors), "lease": lease(), "limit": PAGE}).fetchall()
        for name, position, _ in rows:
            groups.setdefault(name, []).append(position)
        if rows:  # sent inside the transaction: what cannot be sent stays due
            due = [one for name, some in groups.items() for one in batches(processors[name], sorted(some))]
            publisher.send(due, ends_wait=rows[0][2].isoformat())
    return len(rows)
