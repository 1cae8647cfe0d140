"""The HTTP pages /metrics, /healthz and /readyz, for `fundlyhub metrics` and each process with an endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from fundlyhub.monitoring.health import Role, look
from fundlyhub.monitoring.time_limited import Bounded
from fundlyhub.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATIENCE = 10.0
"""Seconds for each part of a request to arrive."""


def make_app(settings: Settings, registry: CollectorRegistry, own: Role | None = None) -> WSGIApplication:
    """The pages as a WSGI app. /healthz says that the process lives; /readyz says what `fundlyhub health` does.

    /readyz checks the role in ``?role=relay``, or else the process's own role, or else everything.
    """
    from prometheus_client import make_wsgi_app  # an extra

    metrics: WSGIApplication = make_wsgi_app(registry)
    bounded = Bounded()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/metrics":
                return metrics(environ, start_response)
            case "GET", "/healthz":
                return _json(start_response, "200 OK", {"ok": True})
            case "GET", "/readyz":
                asked = parse_qs(environ.get("QUERY_STRING", "")).get("role", [""])[0]
                role: Role | None = next((one for one in get_args(Role) if one == asked), None)
                if asked and role is None:
                    return _json(start_response, "400 Bad Request", {"error": "there is no such role"})
                health = look(settings, bounded, role or own)
                status = "200 OK" if health.ok else "503 Service Unavailable"
                return _json(start_response, status, health.document())
            case _:
                return _json(start_response, "404 Not Found", {"error": "see /metrics, /healthz and /readyz"})

    return app


def _json(start_response: StartResponse, status: str, document: dict[str, Any]) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(document).encode()]


class Server(ThreadingMixIn, WSGIServer):
    """A server with a thread per request; running requests do not delay its end."""

    daemon_threads = True

    def __init__(self, host: str, port: int, app: WSGIApplication | None = None) -> None:
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind without a DNS look-up of our own name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a line per probe and scrape is of no use."""
