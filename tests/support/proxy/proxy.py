"""The proxy: passes messages on, between one server and any number of connections, as long as it is told to."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.proxy.trap import Trap, When
from tests.support.proxy.wire import Side, Wire


class Proxy:
    """Listens at ``port`` for the server at ``target``, both on 127.0.0.1, with threads of this process."""

    def __init__(self, target: int, wire: type[Wire]) -> None:
        self.target, self._wire = target, wire
        self._open: set[_Line] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._trap: Trap | None = None
        self.port = 0
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def cut(self) -> None:
        """End every connection, and refuse new ones, until ``heal``."""
        _end(self._listener)
        for line in tuple(self._open):
            line.close()

    def stall(self) -> None:
        """Keep every byte, as a network does that has lost its way, until ``heal``."""
        self._flowing.clear()

    def heal(self) -> None:
        """Everything flows again."""
        self._flowing.set()
        if self._listener.fileno() < 0:
            self._listen()

    def kill(
        self, pattern: str, when: When, *, side: Side = "client", nth: int = 1, strike: Callable[[], None] | None = None
    ) -> Trap:
        """Set the trap; there is one at a time."""
        self._trap = Trap(re.compile(pattern), when, side, nth, strike)
        return self._trap

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self._trap = None
        self.cut()
        self._flowing.set()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:  # it is down
                _end(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = _Line(client, server, self._wire())
            self._open.add(line)
            for side in ("client", "server"):
                threading.Thread(target=self._pump, args=(line, side), daemon=True).start()

    def _pump(self, line: _Line, side: Side) -> None:
        """Pass on what one side says, until it has no more to say."""
        try:
            while data := line.ends[side].recv(65536):
                self._flowing.wait()
                self._pass_on(line, side, data)
            if not line.doomed:
                line.other(side).shutdown(socket.SHUT_WR)
        except OSError:
            if not line.doomed:
                line.close()
        finally:
            line.done[side].set()
            if all(done.is_set() for done in line.done.values()):
                line.close()
                self._open.discard(line)

    def _pass_on(self, line: _Line, side: Side, data: bytes) -> None:
        with line.lock:
            messages = line.wire.feed(side, data)
        trap, ready = self._trap, b""
        for message in messages:
            verdict = trap.judge(line.wire, side, message) if trap else "pass"
            if verdict != "kill":
                ready += message.raw
            if trap and verdict != "pass":
                line.other(side).sendall(ready)
                self._kill(line, side, trap, taken_in=verdict != "kill")
                return
        line.other(side).sendall(ready)

    def _kill(self, line: _Line, side: Side, trap: Trap, *, taken_in: bool) -> None:
        """What has no answer is taken in when the server has read to the end and closes the connection."""
        line.doomed = True
        if taken_in and side == "client":
            line.ends["server"].shutdown(socket.SHUT_WR)
            line.done["server"].wait(10)
        trap.spring(line.client_port, self.port)
        line.close()


class _Line:
    """One connection: both ends, and what was said."""

    def __init__(self, client: socket.socket, server: socket.socket, wire: Wire) -> None:
        self.ends: dict[Side, socket.socket] = {"client": client, "server": server}
        self.client_port: int = client.getpeername()[1]
        self.wire, self.lock = wire, threading.Lock()
        self.done: dict[Side, threading.Event] = {"client": threading.Event(), "server": threading.Event()}
        self.doomed = False

    def other(self, side: Side) -> socket.socket:
        """Who listens."""
        return self.ends["server" if side == "client" else "client"]

    def close(self) -> None:
        """End it for both; safe to repeat."""
        for end in self.ends.values():
            _end(end)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # a close alone would not wake the thread that listens
    end.close()
