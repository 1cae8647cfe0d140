"""The protocol of Redis and Valkey: commands, their replies, and what an EXEC executes."""

from __future__ import annotations

from tests.support.proxy.wire import Message, Side, Wire

_SHOWN = 60
"""Characters of each argument that are kept."""


class RespWire(Wire):
    """One connection. Commands and replies are numbered: the third reply answers the third command."""

    def __init__(self) -> None:
        super().__init__()
        self._commands: dict[int, str] = {}
        self._asked = self._replied = 0
        self._transaction: list[str] | None = None

    def length(self, side: Side, data: bytes) -> int | None:
        """To the end of the value, with all that is nested in it."""
        return _end(data, 0)

    def read(self, side: Side, raw: bytes) -> Message:
        """A command by its words; a reply by the command that it answers."""
        if side == "client":
            self._asked += 1
            text = self._commanded(" ".join(_words(raw)))
            self._commands[self._asked] = text
            return Message(raw, text, self._asked)
        if raw[:1] == b">":  # a push answers nothing
            return Message(raw)
        self._replied += 1
        nothing = "nothing " if raw[:3] in (b"*-1", b"$-1", b"_\r\n") else ""
        text = self._commands.pop(self._replied, "")
        return Message(raw, f"{nothing}reply to {text}", self._replied)

    def _commanded(self, text: str) -> str:
        if text.startswith("MULTI"):
            self._transaction = []
        elif text.startswith(("EXEC", "DISCARD")):
            text, self._transaction = f"{text} of {'; '.join(self._transaction or ())}", None
        elif self._transaction is not None:
            self._transaction.append(text)
        return text


def _end(data: bytes, at: int) -> int | None:
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = data[at : at + 1], line + 2
    if kind in b"+-:_#,(":
        return end
    count = int(data[at + 1 : line])
    if count < 0:
        return end
    if kind in b"$=!":
        return end + count + 2 if len(data) >= end + count + 2 else None
    for _ in range(count * 2 if kind in b"%|" else count):
        after = _end(data, end)
        if after is None:
            return None
        end = after
    return end


def _words(raw: bytes) -> list[str]:
    """The arguments of a command, which is an array of texts, one after the other with their lengths."""
    at, words = raw.index(b"\r\n") + 2, []
    while at < len(raw):
        line = raw.index(b"\r\n", at)
        length = int(raw[at + 1 : line])
        words.append(raw[line + 2 : line + 2 + min(length, _SHOWN)].decode(errors="replace"))
        at = line + 4 + length
    return words
