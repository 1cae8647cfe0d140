"""A service that is up or down, and counts how many callers are inside at once: an HTTP server in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fundlyhub.testing.serving import serving


@dataclass
class BusyDoor:
    """Its address, whether it is up, how long it takes, when it was asked, and the most callers inside at once."""

    url: str = ""
    up: bool = True
    takes: float = 0.0
    asked: list[float] = field(default_factory=list)
    inside: int = 0
    most_inside: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def since(self, moment: float) -> int:
        """How often it was asked since a moment of the monotonic clock."""
        return sum(asked > moment for asked in self.asked)


@contextmanager
def open_busy_door() -> Iterator[BusyDoor]:
    """A door for one test."""
    door = BusyDoor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with door.lock:
                door.asked.append(time.monotonic())
                door.inside += 1
                door.most_inside = max(door.most_inside, door.inside)
            try:
                door.ended.wait(door.takes)
            finally:
                # Before the answer: its caller may be back before this thread goes on.
                with door.lock:
                    door.inside -= 1
            try:
                self.send_response(200 if door.up else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # the caller was killed meanwhile
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at the door itself."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        try:
            yield door
        finally:
            door.ended.set()
