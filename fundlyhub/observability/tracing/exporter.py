"""A span exporter per process: a forked child must not use its parent's connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from fundlyhub.forks import in_child, leave_to_parent


class OwnExporter(SpanExporter):
    """The exporter that ``make`` returns, made now, and in a forked child at its first export.

    OpenTelemetry's batch processor handles its own thread and queue after a fork.
    """

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._make = make
        self._exporter: SpanExporter | None = make()
        in_child(self, OwnExporter._leave)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._exporter is None:
            self._exporter = self._make()
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        if self._exporter is not None:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter is None or self._exporter.force_flush(timeout_millis)

    def _leave(self) -> None:
        leave_to_parent(self._exporter)
        self._exporter = None
