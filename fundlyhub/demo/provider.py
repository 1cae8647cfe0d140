"""A mail provider on this machine: it speaks SendGrid's protocol, counts what it accepted, and can be down."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID, uuid4


class Provider:
    """The provider, with its counts: all requests, those while it was down, and how often it accepted each message."""

    def __init__(self) -> None:
        self.down = False
        self.requests = self.refused = 0
        self.taken: Counter[UUID] = Counter()
        self.url = ""
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves in a thread of this process, on a free port of 127.0.0.1."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.1,), name="provider", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

    def take(self, body: bytes) -> bool:
        """Take a mail, unless the provider is down."""
        reference = UUID(json.loads(body)["personalizations"][0]["custom_args"]["notification"])
        with self._lock:
            self.requests += 1
            if self.down:
                self.refused += 1
                return False
            self.taken[reference] += 1
            return True


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            taken = provider.take(body)
            self.send_response(202 if taken else 503)
            if taken:
                self.send_header("X-Message-Id", uuid4().hex)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing: the demo reports the results."""

    return Handler
