"""A part of the log as a file: lines of JSON, compressed, complete under its name or not there at all.

A line is an envelope as the platform writes it, with what else the log has of the event: its position, its
transaction's id, and its times to the microsecond. The server makes it, so that no number loses a digit.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.private_files import anew

PAGE = 500
"""Events that are read with one statement."""

_PAGE = """
    SELECT position, type, jsonb_build_object(
        'position', position, 'xid', xid::text, 'id', id, 'type', type, 'version', version,
        'timestamp', CASE WHEN isfinite(occurred_at) THEN floor(extract(epoch FROM occurred_at) * 1000)::bigint END,
        'aggregateType', aggregate_type, 'aggregateId', aggregate_id, 'payload', payload, 'metadata', metadata,
        'correlationId', correlation_id, 'causationId', causation_id,
        'occurredAt', occurred_at, 'recordedAt', recorded_at)::text
    FROM events.events WHERE position > %(after)s AND position <= %(high)s ORDER BY position LIMIT %(limit)s
"""

Going = Callable[[int], None]
"""Told of the events that are done; it raises when it is time to stop."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that holds all events from ``low`` to ``high``; ``types`` counts them."""

    file: Path
    low: int
    high: int
    types: Mapping[str, int]
    sha256: str

    @property
    def events(self) -> int:
        """How many it holds."""
        return sum(self.types.values())


def write(db: psycopg.Connection[Any], low: int, high: int, folder: Path, going: Going) -> Written:
    """Write all events from ``low`` to ``high``; when it returns, the file is on the disk and was read back.

    Raises Unavailable when it cannot be written, and WrongState when another file has its name. What is left of a
    run that was killed is overwritten by the next one.
    """
    partial = folder / f".events-{low:012}.partial"
    final = folder / f"events-{low:012}-{high:012}.jsonl.gz"
    try:
        with anew(partial) as file:
            types = _lines(db, low, high, file, going)
            file.flush()
            os.fsync(file.fileno())
        digest = digest_of(partial)
        if final.exists() and digest_of(final) != digest:  # else that of a run which was killed at this point
            raise WrongState(f"{final} is there already, and holds something else: choose another folder")
        partial.replace(final)
        sync_folder(folder)
        if digest_of(final) != digest:
            raise Unavailable(f"{final} does not hold what was written: nothing was deleted")
        return Written(final, low, high, types, digest)
    except OSError as error:
        raise Unavailable(f"cannot write to {folder}: {error.strerror}; nothing was deleted") from None
    finally:
        partial.unlink(missing_ok=True)


def _lines(db: psycopg.Connection[Any], low: int, high: int, file: IO[bytes], going: Going) -> Counter[str]:
    """All lines. The same rows make the same file: no time and no name is in it."""
    types: Counter[str] = Counter()
    after = low - 1
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
        done = PAGE
        while done:
            done = 0
            # Row by row: events of an earlier time may be of any size.
            for position, kind, line in db.cursor().stream(_PAGE, {"after": after, "high": high, "limit": PAGE}):
                packed.write(f"{line}\n".encode())
                types[kind] += 1
                after, done = position, done + 1
            if done:
                going(done)
    return types


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a crash of the machine, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
