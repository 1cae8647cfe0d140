"""A collector of traces for tests: takes what real processes export over OTLP/HTTP, and keeps it in memory."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fundlyhub.testing.serving import serving


class Spanned(NamedTuple):
    """A span as it was exported; ``links`` are pairs of trace and span, ids are hexadecimal."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: list[tuple[str, str]]
    attributes: dict[str, Any]


class Collector:
    """Everything that was exported so far."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Spanned] = []
        self.raw: list[bytes] = []

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process export to it; at its end, and not before."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "600000",  # milliseconds
        }

    def named(self, name: str, *, trace: str) -> list[Spanned]:
        """The spans of a name in one trace."""
        return [span for span in self.spans if (span.name, span.trace) == (name, trace)]

    def take(self, body: bytes) -> None:
        """Keep one export."""
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _plain(resource.resource.attributes)["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self.spans.append(Spanned(service, span.name, *ids, links, _plain(span.attributes)))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector in a thread of this process."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # so that connections are kept

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield collector


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
