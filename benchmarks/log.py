"""Filling the event log for a run, by COPY, in transactions of a thousand events as a busy API would have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

CHUNK = 1_000

_COPY = """
    COPY events.events (id, type, version, aggregate_type, aggregate_id, payload, occurred_at) FROM STDIN
"""


def fill_log(dsn: str, file: Path) -> None:
    """The events of a file, in their order."""
    with file.open() as lines, psycopg.connect(dsn) as db:
        copy(db, lines)


def copy(db: psycopg.Connection[Any], lines: Iterator[str]) -> None:
    """The events of some lines, committed, and the relay is told of them."""
    while chunk := list(islice(lines, CHUNK)):
        with db.cursor() as cursor, cursor.copy(_COPY) as rows:
            for line in chunk:
                event = json.loads(line)
                rows.write_row(
                    (
                        event["id"], "donation.completed", "2.0.0", "donation", event["payload"]["donationId"],
                        json.dumps(event["payload"]), event["at"],
                    )
                )  # fmt: skip
        db.execute("NOTIFY fundlyhub_relay")
        db.commit()
