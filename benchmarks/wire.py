"""`python -m benchmarks.wire FOLDER DSN`: counts what processes send to PostgreSQL, between them and the server.

A round trip is a client that speaks after the server has. A statement is a message that has the server execute one,
whether it was prepared or not.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.stage import PYTHON, Place
from tests.support.platform import wait_until

_SSL, _GSS = 80877103, 80877104
"""Requests before the first message, which are answered with one letter."""
_EXECUTES = b"QE"
LOOK = 0.05
"""Seconds between two lines that say how many there were."""
_WHERE, _COUNTS = "wire.port", "wire.counts"


class Wire:
    """What goes on between the processes that are started from now on and the server."""

    def __init__(self, place: Place) -> None:
        self._file, where = place.folder / _COUNTS, place.folder / _WHERE
        place.start("wire", [PYTHON, "-m", "benchmarks.wire", str(place.folder), place.dsn])
        wait_until(where.exists, what="the wire")
        for name, dsn in place.environment.items():
            if dsn == place.dsn:
                place.environment[name] = dsn.replace(f":{urlsplit(dsn).port}/", f":{where.read_text()}/")

    def count(self) -> tuple[int, int]:
        """Statements and round trips so far."""
        asked = time.time_ns()
        wait_until(lambda: self._file.stat().st_mtime_ns > asked, what="counts of now")
        statements, trips = self._file.read_text().split()
        return int(statements), int(trips)


class Counts:
    """The counts of all connections."""

    statements = trips = 0


class _Client:
    """Reads what one client says: the length of each message, and its kind."""

    def __init__(self, counts: Counts) -> None:
        self._counts, self._read, self._begun, self.heard = counts, b"", False, True

    def said(self, data: bytes) -> None:
        """More of it."""
        if self.heard:
            self._counts.trips += 1
            self.heard = False
        self._read += data
        while self._one():
            pass

    def _one(self) -> bool:
        head = 1 if self._begun else 0  # the first message has no kind
        if len(self._read) < head + 4:
            return False
        size = int.from_bytes(self._read[head : head + 4])
        if len(self._read) < head + size:
            return False
        if self._begun:
            self._counts.statements += self._read[0] in _EXECUTES
        else:
            self._begun = int.from_bytes(self._read[4:8]) not in (_SSL, _GSS)
        self._read = self._read[head + size :]
        return True


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: _Client, asks: bool) -> None:
    try:
        while data := await reader.read(1 << 16):
            if asks:
                client.said(data)
            else:
                client.heard = True
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(folder: Path, dsn: str) -> None:
    """Pass on until the end."""
    server, counts = urlsplit(dsn), Counts()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(counts)
        their_reader, their_writer = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(
            _pass_on(reader, their_writer, client, True), _pass_on(their_reader, writer, client, False)
        )

    listening = await asyncio.start_server(connect, "127.0.0.1", 0)
    (folder / _COUNTS).write_text("0 0")
    making = folder / f"{_WHERE}.making"
    making.write_text(str(listening.sockets[0].getsockname()[1]))
    making.rename(folder / _WHERE)
    while True:
        await asyncio.sleep(LOOK)
        making.write_text(f"{counts.statements} {counts.trips}")
        making.rename(folder / _COUNTS)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
