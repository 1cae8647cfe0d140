"""HTTP/1.1 with lengths given: requests and responses."""

from __future__ import annotations

import re

from tests.support.proxy.wire import Message, Side, Wire

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class HttpWire(Wire):
    """One connection; a request waits for its response."""

    def answers(self, question: Message, message: Message) -> bool:
        """Whatever comes back."""
        return True

    def length(self, side: Side, data: bytes) -> int | None:
        """Head and body."""
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return None
        length = _LENGTH.search(data, 0, head)
        return head + 4 + (int(length[1]) if length else 0)

    def read(self, side: Side, raw: bytes) -> Message:
        """The first line."""
        return Message(raw, raw.split(b"\r\n", 1)[0].decode(errors="replace"))
