"""PostgreSQL's protocol 3: which statement is executed when, and what a COMMIT commits.

A statement counts when it is executed, by its text, however long ago it was prepared. A COMMIT says "COMMIT of"
and all statements of its transaction.
"""

from __future__ import annotations

from tests.support.proxy.wire import Message, Side, Wire

_ENCRYPTION = (80877103, 80877104)  # the client asks for TLS or GSSAPI; the server answers with one byte


class PostgresWire(Wire):
    """One session."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._single_bytes = 0
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._transaction: list[str] | None = None

    def answers(self, question: Message, message: Message) -> bool:
        """Nobody here uses pipelines: the next time that the server is ready, it has answered."""
        return message.text == "ReadyForQuery"

    def length(self, side: Side, data: bytes) -> int | None:
        """A type and a length; the first message has no type."""
        if side == "server" and self._single_bytes:
            return 1
        start = 0 if side == "client" and not self._started else 1
        return start + int.from_bytes(data[start : start + 4]) if len(data) >= start + 4 else None

    def read(self, side: Side, raw: bytes) -> Message:
        """The few kinds that matter."""
        if side == "server":
            if self._single_bytes:
                self._single_bytes -= 1
                return Message(raw)
            return Message(raw, "ReadyForQuery" if raw[:1] == b"Z" else "")
        if not self._started:
            self._start(raw)
            return Message(raw)
        return Message(raw, self._said(raw[:1], raw[5:]))

    def _start(self, raw: bytes) -> None:
        if int.from_bytes(raw[4:8]) in _ENCRYPTION:
            self._single_bytes += 1
        else:
            self._started = True

    def _said(self, kind: bytes, body: bytes) -> str:
        match kind:
            case b"P":
                name, statement, _ = body.split(b"\0", 2)
                self._statements[name] = statement.decode(errors="replace")
            case b"B":
                portal, name, _ = body.split(b"\0", 2)
                self._portals[portal] = self._statements.get(name, "")
            case b"E":
                return self._executed(self._portals.get(body.split(b"\0", 1)[0], ""))
            case b"Q":
                return self._executed(body[:-1].decode(errors="replace"))
        return ""

    def _executed(self, statement: str) -> str:
        text = " ".join(statement.split())
        if text.startswith("BEGIN"):
            self._transaction = []
        elif text.startswith(("COMMIT", "ROLLBACK")):
            text, self._transaction = f"{text} of {'; '.join(self._transaction or ())}", None
        elif self._transaction is not None:
            self._transaction.append(text)
        return text
