"""Set-up of OpenTelemetry in a process, by the standard OTEL_* variables."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec
from logging import getLogger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # an extra
    from opentelemetry.sdk.trace.export import SpanExporter

log = getLogger(__name__)

EXPORTERS = "OTEL_TRACES_EXPORTER"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_ours: list[Any] = []


def start(service: str) -> None:
    """Export traces if OTEL_TRACES_EXPORTER is set, under this name unless OTEL_SERVICE_NAME gives another.

    An existing provider stays. Forked children export their own spans. An error is logged and costs only the traces.
    """
    names = [name for name in os.environ.get(EXPORTERS, "").split(",") if name.strip() not in ("", "none")]
    if not names or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning('%s is set, but there will be no traces: pip install "fundlyhub[tracing]"', EXPORTERS)
        return
    try:
        _start(service, [name.strip() for name in names])
    except Exception as error:
        log.warning("there will be no traces: %s is wrong (%s)", EXPORTERS, type(error).__name__)


def stop() -> None:
    """Send the remaining spans; for processes that end without Python's exit handlers."""
    while _ours:
        _ours.pop().shutdown()


def _start(service: str, names: list[str]) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from fundlyhub.observability.tracing.exporter import OwnExporter

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: service}))
    provider = TracerProvider(resource=resource)
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(OwnExporter(_exporter(name))))
    trace.set_tracer_provider(provider)
    _ours.append(provider)


def _exporter(name: str) -> Callable[[], SpanExporter]:
    """The factory of the exporter of this name, from the installed packages."""
    if name == "otlp":
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    (found,) = entry_points(group="opentelemetry_traces_exporter", name=name)
    exporter: Callable[[], SpanExporter] = found.load()
    return exporter
