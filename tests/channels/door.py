"""A door that answers as it is told: an HTTP server in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fundlyhub.testing.serving import serving


@dataclass
class Door:
    """Its address, what it answers, what it heard last, and how often. While ``hangs`` is set, it answers nothing."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    heard: bytes = b""
    asked: int = 0
    hangs: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def open_door() -> Iterator[Door]:
    """A door for one test."""
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            door.asked += 1
            door.heard = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if door.hangs:
                door.ended.wait(30)
                return
            self.send_response(door.status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(door.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(door.body)

        do_GET = do_HEAD = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at the door itself."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        try:
            yield door
        finally:
            door.ended.set()
