"""`python -m benchmarks.claims`: what a claim costs in a partitioned table, against the same in a plain one."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import psycopg

from fundlyhub.database.arrays import array
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.processing.claims import _CLAIM

SIZES = (1, 500, 2_000)
POSITIONS = 200_000
"""For each size: it is claimed batch after batch, so that both tables grow alike."""
PARTITIONS = 8

_COLUMNS = """
    processor text NOT NULL, position bigint NOT NULL, event_id uuid NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (processor, position)
"""
TABLES = ("plain", "partitioned")


def main() -> None:
    """Claim in turns, and print the medians and their ratio."""
    with tempfile.TemporaryDirectory(prefix="fundlyhub-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", options={"fsync": "off"}).start()
        try:
            with (
                psycopg.connect(server.dsn, autocommit=True) as db,
                psycopg.connect(server.dsn, autocommit=True) as other,
            ):
                make(db)
                sessions = dict(zip(TABLES, (db, other), strict=True))
                for name, session in sessions.items():
                    session.execute(f"SET search_path = {name}")
                for turn, size in enumerate(SIZES):
                    print(row(size, measure(sessions, size, turn * POSITIONS)), flush=True)
        finally:
            server.stop()


def make(db: psycopg.Connection) -> None:
    """A schema with each kind of table."""
    for name in TABLES:
        db.execute(f"CREATE SCHEMA {name}")
    db.execute(f"CREATE TABLE plain.processed_events ({_COLUMNS})")
    db.execute(f"CREATE TABLE partitioned.processed_events ({_COLUMNS}) PARTITION BY RANGE (position)")
    db.execute("CREATE TABLE partitioned.rest PARTITION OF partitioned.processed_events DEFAULT")
    width = POSITIONS * len(SIZES) // PARTITIONS
    for number in range(PARTITIONS):
        db.execute(
            f"CREATE TABLE partitioned.part_{number} PARTITION OF partitioned.processed_events "
            f"FOR VALUES FROM ({number * width}) TO ({(number + 1) * width})"
        )
    db.execute("ALTER TABLE partitioned.rest ADD CONSTRAINT claims_dropped CHECK (position NOT BETWEEN -9 AND -1)")


def measure(sessions: Mapping[str, psycopg.Connection], size: int, start: int) -> tuple[float, float]:
    """Milliseconds of a claim in either table: medians of the server's own time on a core, whoever else wants one."""
    times: dict[str, list[float]] = {name: [] for name in TABLES}
    batches = min(POSITIONS // size, 1_000)
    for number in range(batches):
        first = start + number * (POSITIONS // batches)
        given = {
            "processor": "campaign_stats",
            "given": size,
            "positions": array(range(first, first + size)),
            "ids": array(uuid4() for _ in range(size)),
        }
        for name in TABLES if number % 2 else reversed(TABLES):
            began = on_core(sessions[name])
            sessions[name].execute(_CLAIM, given).fetchone()
            times[name].append((on_core(sessions[name]) - began) / 1e6)
    return statistics.median(times["plain"]), statistics.median(times["partitioned"])


def on_core(session: psycopg.Connection) -> int:
    """Nanoseconds that a session's server process has had a core."""
    return int(Path(f"/proc/{session.info.backend_pid}/schedstat").read_text().split()[0])


def row(size: int, found: tuple[float, float]) -> str:
    """A row of the table in docs/growth.md."""
    plain, partitioned = found
    return f"| {size:,} | {plain:.2f} ms | {partitioned:.2f} ms | {partitioned / plain:.2f} |"


if __name__ == "__main__":
    main()
