"""Elasticsearch's bulk door as it misbehaves: statuses by document, a proxy's limit, answers that break off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from fundlyhub.testing.serving import serving


@dataclass
class BulkDoor:
    """Takes what it is not told to refuse. ``status`` answers whole requests; all indices are there."""

    url: str = ""
    statuses: dict[UUID, int] = field(default_factory=dict)
    status: int = 200
    most_bytes: int = 10**9
    left_out: set[UUID] = field(default_factory=set)
    body: bytes | None = None
    taken: dict[UUID, int] = field(default_factory=dict)
    bulks: int = 0
    sizes: list[int] = field(default_factory=list)
    product: bool = True

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """To one bulk."""
        self.bulks += 1
        if len(body) > self.most_bytes:
            return 413, b"<html>413 Request Entity Too Large</html>"
        if self.status != 200:
            return self.status, b'{"error": "no"}'
        lines = [json.loads(line) for line in body.splitlines()]
        heads = [line["index"] for line in lines[::2]]
        self.sizes.append(len(heads))
        items: list[dict[str, Any]] = []
        for head in heads:
            one = UUID(head["_id"])
            status = self.statuses.get(one, 201)
            if status < 300:
                self.taken[one] = head["version"]
            if one not in self.left_out:
                items.append({"index": {"_id": head["_id"], "status": status}})
        return 200, json.dumps({"items": items}).encode() if self.body is None else self.body


@contextmanager
def open_bulk_door() -> Iterator[BulkDoor]:
    """A door for one test."""
    door = BulkDoor()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.say(*door.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0))))

        do_PUT = do_POST

        def do_HEAD(self) -> None:
            self.say(200, b"")

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if door.product:
                self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json" if body[:1] != b"<" else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at the door itself."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield door
