"""A provider over HTTP: what it accepts is remembered, and each request can be answered in any bad way."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple, Self

from fundlyhub.testing.serving import serving

How = Literal["answer", "answer and leave", "reset before reading", "reset after reading", "hang", "close", "garbage"]


@dataclass(frozen=True)
class Behaviour:
    """What becomes of one request.

    ``status`` None is the provider's own for success; ``code`` is its own code for an error; ``slow`` is how many
    seconds it takes; ``location`` is where a redirect leads. A message is accepted unless the status is an error or
    the request is not read.
    """

    status: int | None = None
    retry_after: str | None = None
    location: str | None = None
    code: str | int | None = None
    slow: float = 0.0
    how: How = "answer"

    @property
    def accepts(self) -> bool:
        """Whether the message counts as sent."""
        return (self.status is None or self.status < 300) and self.how != "reset before reading"


GOOD = Behaviour()


class Accepted(NamedTuple):
    """A message that the provider took."""

    reference: str
    recipient: str
    body: Mapping[str, Any]


@dataclass
class Fake:
    """A provider at ``url``. Behaviours are used up in turn; after that, ``always`` holds."""

    url: str = ""
    always: Behaviour = GOOD
    accepted: list[Accepted] = field(default_factory=list)
    requests: int = 0
    concurrent: int = 0
    most_concurrent: int = 0
    connections: int = 0
    left: int = 0
    """Connections that have ended."""
    heard: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _next: deque[Behaviour] = field(default_factory=deque)

    success = 200

    @classmethod
    @contextmanager
    def running(cls, tls: ssl.SSLContext | None = None) -> Iterator[Self]:
        """A fake in a thread of this process."""
        fake = cls()
        server = _Server(("127.0.0.1", 0), fake)
        fake.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        with serving(server):
            try:
                yield fake
            finally:
                fake.ended.set()

    def behave(self, *behaviours: Behaviour) -> None:
        """What becomes of the next requests."""
        with self.lock:
            self._next.extend(behaviours)

    def copies(self, reference: str) -> int:
        """How often a message was accepted."""
        with self.lock:
            return sum(one.reference == reference for one in self.accepted)

    def take(self, path: str) -> Behaviour:
        """The behaviour that is next."""
        with self.lock:
            return self._next.popleft() if self._next else self.always

    @contextmanager
    def counted(self) -> Iterator[None]:
        """One request that is under way."""
        with self.lock:
            self.requests += 1
            self.concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self.concurrent)
        try:
            yield
        finally:
            with self.lock:
                self.concurrent -= 1

    def other(self, path: str) -> bytes | None:
        """The answer to a request that is not about a message; None where it is."""
        return None

    def read(self, body: bytes) -> Accepted:
        """The message of a request."""
        raise NotImplementedError

    def success_answer(self) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an answer that says yes."""
        raise NotImplementedError

    def error_answer(self, status: int, code: str | int | None) -> bytes:
        """The body of one that says no, quoting as providers do."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    """Resets the connections that it is told to: a close alone would say goodbye first."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], fake: Fake) -> None:
        super().__init__(address, _handler(fake))
        self.fake = fake
        self.resets: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.fake.lock:
            self.fake.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        if request in self.resets:
            self.resets.discard(request)
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.close()
        else:
            super().shutdown_request(request)
        with self.fake.lock:
            self.fake.left += 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that give up are what the tests are about."""


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server: _Server
        behaviour: Behaviour | None = None

        def handle_one_request(self) -> None:
            # Waits for a request without reading it.
            if not self.rfile.peek(1):  # type: ignore[attr-defined]
                self.close_connection = True
                return
            super().handle_one_request()

        def parse_request(self) -> bool:
            parsed = super().parse_request()
            self.behaviour = fake.take(self.path if parsed else "")
            if self.behaviour.how == "reset before reading":
                with fake.counted():
                    self._reset()
                return False
            return parsed

        def do_POST(self) -> None:
            behaviour = self.behaviour
            assert behaviour is not None
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            other = fake.other(self.path)
            if other is None:
                with fake.counted():
                    fake.heard.append((self.path, dict(self.headers)))
                    if behaviour.accepts and self.command == "POST":
                        fake.accepted.append(fake.read(body))
                    self._answer(behaviour, None)
            else:
                self._answer(behaviour, other)

        do_GET = do_POST

        def _answer(self, behaviour: Behaviour, other: bytes | None) -> None:
            if behaviour.how == "reset after reading":
                self._reset()
            elif behaviour.how == "close":
                self.close_connection = True
            elif behaviour.how == "hang" or (behaviour.slow and fake.ended.wait(behaviour.slow)):
                fake.ended.wait(30)
                self.close_connection = True
            else:
                self._say(behaviour, other)
                self.close_connection |= behaviour.how == "answer and leave"

        def _say(self, behaviour: Behaviour, other: bytes | None) -> None:
            status = behaviour.status or (200 if other is not None else fake.success)
            headers: Mapping[str, str] = {}
            if behaviour.how == "garbage":
                body = b"<html>all is well</html>"
            elif status >= 300:
                body = fake.error_answer(status, behaviour.code)
            else:
                headers, body = ({}, other) if other is not None else fake.success_answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            for name, given in (("Retry-After", behaviour.retry_after), ("Location", behaviour.location)):
                if given is not None:
                    self.send_header(name, given)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reset(self) -> None:
            self.server.resets.add(self.connection)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at the fake itself."""

    return Handler
