"""`python -m benchmarks.provider FOLDER`: one provider of mails, push messages and SMS, in a process of its own.

It speaks as the fakes of ``fundlyhub.testing`` do and is faster than they are, so that it is not what limits a run. It
writes a line for each message that it takes, and its address when it is ready.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from benchmarks.effects import Copy
from benchmarks.stage import PYTHON, Place
from fundlyhub.testing.providers import Fake, Fcm, SendGrid, Twilio
from tests.support.platform import Process, wait_until

CHANNELS: Mapping[str, type[Fake]] = {"email": SendGrid, "push": Fcm, "sms": Twilio}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WHERE, _TAKEN = "provider.url", "provider.taken"


class Taken(NamedTuple):
    """A message that was taken, and when, in seconds since 1970."""

    copy: Copy
    reference: str
    at: float


class Provider:
    """A provider that runs beside what is measured."""

    def __init__(self, place: Place) -> None:
        self._folder = place.folder
        self.process: Process = place.start("provider", [PYTHON, "-m", "benchmarks.provider", str(place.folder)])
        where = place.folder / _WHERE

        def is_ready() -> bool:
            place.check_alive()
            return where.exists()

        wait_until(is_ready, what="the provider")
        self.url = where.read_text()
        for fake in CHANNELS.values():
            place.environment |= fake(url=self.url).variables(place.folder)  # type: ignore[attr-defined]
        place.environment["BENCH_PROVIDER"] = self.url

    def count(self) -> int:
        """How many messages it has taken."""
        return len(self._lines())

    def taken(self) -> Sequence[Taken]:
        """The messages that it has taken."""
        rows = (json.loads(line) for line in self._lines())
        return [Taken(Copy(channel, to), reference, at) for channel, to, reference, at in rows]

    def _lines(self) -> Sequence[str]:
        return (self._folder / _TAKEN).read_text().splitlines()


class _Connection(asyncio.Protocol):
    """One kept connection, request after request."""

    def __init__(self, fakes: Mapping[str, Fake], out: TextIO) -> None:
        self._fakes, self._out, self._read = fakes, out, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while self._answer_one():
            pass

    def _answer_one(self) -> bool:
        head, end, rest = self._read.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not end or len(rest) < size:
            return False
        self._read = rest[size:]
        self._transport.write(self._answer(head.split(b" ", 2)[1].decode(), rest[:size]))
        return True

    def _answer(self, path: str, body: bytes) -> bytes:
        channel = "email" if path.startswith("/v3/") else "sms" if path.startswith("/2010-") else "push"
        fake = self._fakes[channel]
        if (other := fake.other(path)) is not None:
            return _response(200, {}, other)
        message = fake.read(body)
        self._out.write(json.dumps([channel, message.recipient, message.reference, time.time()]) + "\n")
        return _response(fake.success, *fake.success_answer())


def _response(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    said = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"HTTP/1.1 {status} Good\r\n{lines}\r\n".encode() + body


async def serve(folder: Path) -> None:
    """Answer until the end."""
    with (folder / _TAKEN).open("w", buffering=1) as out:
        fakes = {channel: fake() for channel, fake in CHANNELS.items()}
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(fakes, out), "127.0.0.1", 0, backlog=256)
        making = folder / f"{_WHERE}.making"
        making.write_text(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        making.rename(folder / _WHERE)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
