"""Finds unsettled events of a processor: those without a claim, a dead letter or a row of attempts.

Where claims have been dropped all was settled before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from fundlyhub.database import get_engine
from fundlyhub.processing.claims import claimed, dropped
from fundlyhub.processing.processor import Processor

# A resolved letter is no trace: what it stood for is applied, and has a claim, or else is missing.
HELD = """
    SELECT position, state, event_id FROM events.dead_letters
    WHERE processor = %(processor)s AND state <> 'resolved' AND {where}
    UNION ALL
    SELECT position, NULL, NULL FROM events.attempts WHERE processor = %(processor)s AND {where}
"""
"""Dead letters, and attempts without a state, of a processor's events; ``where`` selects positions."""
AT = "position = ANY (%(positions)s::bigint[])"


def unsettled(db: psycopg.Connection[Any], processor: type[Processor], positions: Sequence[int]) -> list[int]:
    """Those of these positions that left no trace, in order.

    ``db`` is a connection to the Events DB; the claims are read in the processor's own database.
    """
    if not positions:
        return []
    with get_engine(processor.database).connect() as effects:
        traces = claimed(effects, processor.name, positions)
        rest = [position for position in positions if position not in traces]
        gone = dropped(effects, rest) if rest else set()
    rest = [position for position in rest if position not in gone]
    if not rest:
        return []
    held = {row[0] for row in db.execute(HELD.format(where=AT), {"processor": processor.name, "positions": rest})}
    return [position for position in rest if position not in held]
