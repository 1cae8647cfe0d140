"""The endpoint of a single process: /metrics with its own counts, /healthz and /readyz; off unless a port is set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from threading import Thread

from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.serving import Server, make_app
from fundlyhub.observability import metrics
from fundlyhub.settings import Settings

log = getLogger(__name__)

PATIENCE = 3.0
"""Seconds to wait for the port: the previous process may still be stopping."""


@contextmanager
def endpoint(settings: Settings, role: metrics.Role) -> Iterator[None]:
    """Serve the metrics of this process, which has no children, until the block ends.

    Raises WrongUse without the extra, and Unavailable if the port is taken.
    """
    if settings.metrics_port is None:
        yield
        return
    registry = metrics.enable(role)
    with listen(settings) as server:
        server.set_app(make_app(settings, registry, role))
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        yield
        server.shutdown()


def listen(settings: Settings) -> Server:
    """A server at the address in the settings. Raises Unavailable if the port is taken."""
    host, port = settings.metrics_host, settings.metrics_port or 0
    end = time.monotonic() + PATIENCE
    while True:
        try:
            server = Server(host, port)
        except OSError as error:
            if time.monotonic() > end:
                raise Unavailable(
                    f"cannot listen at {host}:{port}: {error.strerror}; give each process a FUNDLYHUB_METRICS_PORT "
                    "of its own"
                ) from None
            time.sleep(0.1)
        else:
            log.info("numbers of this process at http://%s:%d/metrics", host, server.server_port)
            return server
