"""Writers that make a log as untidy as it gets: rollbacks, savepoints, early transaction ids, long transactions."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict

import psycopg
from psycopg.types.json import Jsonb

AGGREGATES = 20

SCHEMA = """
    CREATE TABLE public.aggregates (id int PRIMARY KEY, seq int NOT NULL DEFAULT 0);
    INSERT INTO public.aggregates SELECT generate_series(1, 20);
"""
INSERT = """
    INSERT INTO events.events (id, type, version, aggregate_id, payload, occurred_at)
    VALUES (gen_random_uuid(), %s, '1.0.0', %s, %s, now())
"""


class Writer(threading.Thread):
    """Commits numbered events of a few aggregates, whose rows serialise it, so many times."""

    def __init__(self, dsn: str, seed: int, rounds: int, kind: str, payload: dict[str, object]) -> None:
        super().__init__()
        self._dsn, self._rng, self._rounds = dsn, random.Random(seed), rounds
        self._kind, self._payload = kind, payload
        self.committed = 0

    def run(self) -> None:
        """All rounds."""
        with psycopg.connect(self._dsn) as db:
            for _ in range(self._rounds):
                rows = self._write(db)
                if self._rng.random() < 0.15:
                    db.rollback()
                else:
                    db.commit()
                    self.committed += rows

    def _write(self, db: psycopg.Connection[tuple[object, ...]]) -> int:
        rng = self._rng
        if rng.random() < 0.3:  # a transaction id long before the first row
            db.execute("SELECT pg_current_xact_id()")
            time.sleep(rng.random() * 0.01)
        count, aggregate = rng.randint(1, 3), rng.randint(1, AGGREGATES)
        row = db.execute(
            "UPDATE public.aggregates SET seq = seq + %s WHERE id = %s RETURNING seq", (count, aggregate)
        ).fetchone()
        assert row is not None
        last = int(str(row[0]))
        for seq in range(last - count + 1, last + 1):
            with db.transaction():  # a savepoint, and so a subtransaction
                db.execute(INSERT, (self._kind, f"{aggregate}:{seq}", Jsonb(self._payload)))
        if rng.random() < 0.2:
            time.sleep(rng.random() * 0.02)
        return count


class LongTransaction:
    """A transaction that holds an early row and stays open until ``commit``."""

    def __init__(self, dsn: str, kind: str, payload: dict[str, object]) -> None:
        self._db = psycopg.connect(dsn)
        self._db.execute(INSERT, (kind, None, Jsonb(payload)))

    def commit(self) -> None:
        """End it."""
        self._db.commit()
        self._db.close()


def order_kept(aggregate_ids: list[str | None]) -> bool:
    """Whether the numbers of each aggregate only grow."""
    last: defaultdict[str, int] = defaultdict(int)
    for text in aggregate_ids:
        if text is None:
            continue
        aggregate, _, seq = text.partition(":")
        if int(seq) <= last[aggregate]:
            return False
        last[aggregate] = int(seq)
    return True
