"""AMQP 0-9-1: publishes, deliveries and acknowledgements; a method comes with its content as one message."""

from __future__ import annotations

from collections import Counter

from tests.support.proxy.wire import Message, Side, Wire

_GREETING = 8
_METHOD = 1
_PUBLISH, _DELIVER, _ACK, _NACK = (60, 40), (60, 60), (60, 80), (60, 120)
_NAMES = {_PUBLISH: "basic.publish", _DELIVER: "basic.deliver", _ACK: "basic.ack", _NACK: "basic.nack",
          (60, 90): "basic.reject", (60, 70): "basic.get", (60, 71): "basic.get-ok"}  # fmt: skip
_WITH_CONTENT = (_PUBLISH, _DELIVER, (60, 50), (60, 71))


class AmqpWire(Wire):
    """One connection. Publishes are numbered per channel, as the server's confirmations are."""

    def __init__(self) -> None:
        super().__init__()
        self._greeted = False
        self._published: Counter[int] = Counter()

    def answers(self, question: Message, message: Message) -> bool:
        """A confirmation may speak of all publishes up to its own."""
        return message.text.startswith(("basic.ack", "basic.nack")) and message.number >= question.number

    def length(self, side: Side, data: bytes) -> int | None:
        """One frame, or a method with the frames of its content."""
        if side == "client" and not self._greeted:
            return _GREETING
        end = _frame_end(data, 0)
        if end is None or not _has_content(data):
            return end
        header, start = end, end + 7
        end = _frame_end(data, header)
        if end is None:
            return None
        left = int.from_bytes(data[start + 4 : start + 12])
        while left > 0:
            start, end = end, _frame_end(data, end)
            if end is None:
                return None
            left -= end - start - 8
        return end

    def read(self, side: Side, raw: bytes) -> Message:
        """The methods that have a name above."""
        if side == "client" and not self._greeted:
            self._greeted = True
            return Message(raw)
        method = _method(raw)
        if method not in _NAMES:
            return Message(raw)
        name, arguments = _NAMES[method], raw[11:]
        channel = int.from_bytes(raw[1:3])
        if method == _PUBLISH:
            self._published[channel] += 1
            exchange, rest = _short_text(arguments[2:])
            return Message(raw, f"{name} {exchange} {_short_text(rest)[0]}", self._published[channel])
        if method in (_ACK, _NACK):
            multiple = " multiple" if arguments[8] & 1 else ""
            return Message(raw, f"{name}{multiple}", int.from_bytes(arguments[:8]), answered=False)
        if method == _DELIVER:
            consumer, _ = _short_text(arguments)
            return Message(raw, f"{name} {consumer}", answered=False)
        return Message(raw, name, answered=False)


def _frame_end(data: bytes, at: int) -> int | None:
    """Where a frame ends: its head of 7 bytes tells its length, and one byte closes it."""
    return at + 8 + int.from_bytes(data[at + 3 : at + 7]) if len(data) >= at + 7 else None


def _method(raw: bytes) -> tuple[int, int] | None:
    return (int.from_bytes(raw[7:9]), int.from_bytes(raw[9:11])) if raw[0] == _METHOD else None


def _has_content(data: bytes) -> bool:
    return len(data) >= 11 and _method(data) in _WITH_CONTENT


def _short_text(data: bytes) -> tuple[str, bytes]:
    return data[1 : 1 + data[0]].decode(errors="replace"), data[1 + data[0] :]
