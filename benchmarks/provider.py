"""`python -m benchmarks.provider FOLDER`: one provider of mails, push messages and SMS, in a process of its own.

It speaks as the fakes of ``fundlyhub.testing`` do and is faster than they are, so that it is not what limits a run. It
keeps what it takes in memory, so that no disk holds it up, and says it when it is asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from fundlyhub.testing.providers import Fcm, SendGrid, Twilio

Fake = SendGrid | Fcm | Twilio
FAKES: Mapping[str, type[SendGrid] | type[Fcm] | type[Twilio]] = {"email": SendGrid, "push": Fcm, "sms": Twilio}
WHERE = "provider.url"
"""The file of its address, which is there when it is ready."""
COUNT, TAKEN = "/count", "/taken"
"""How many messages it has taken; and which: of each a line with channel, recipient, reference and time."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One kept connection, request after request."""

    def __init__(self, fakes: Mapping[str, Fake], taken: list[str]) -> None:
        self._fakes, self._taken, self._read = fakes, taken, b""

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
        if path == COUNT:
            return _response(200, {}, str(len(self._taken)).encode())
        if path == TAKEN:
            return _response(200, {}, "\n".join(self._taken).encode())
        channel = "email" if path.startswith("/v3/") else "sms" if path.startswith("/2010-") else "push"
        fake = self._fakes[channel]
        if (other := fake.other(path)) is not None:
            return _response(200, {}, other)
        message = fake.read(body)
        self._taken.append(json.dumps([channel, message.recipient, message.reference, time.time()]))
        return _response(fake.success, *fake.success_answer())


def _response(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    said = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"HTTP/1.1 {status} Good\r\n{lines}\r\n".encode() + body


async def serve(folder: Path) -> None:
    """Answer until the end."""
    taken: list[str] = []
    fakes = {channel: fake() for channel, fake in FAKES.items()}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(fakes, taken), "127.0.0.1", 0, backlog=256)
    making = folder / f"{WHERE}.making"
    making.write_text(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    making.rename(folder / WHERE)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
