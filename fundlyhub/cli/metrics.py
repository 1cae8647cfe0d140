"""`fundlyhub metrics`: serve the numbers of all of it to Prometheus, or print them once."""

from __future__ import annotations

import logging
import sys
from threading import Thread

import click

from fundlyhub.cli.options import host_option, port_option, verbose_option
from fundlyhub.cli.output import say
from fundlyhub.cli.wiring import known_processors, stop_on_signals
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.observability.logs import configure
from fundlyhub.settings import get_settings

log = logging.getLogger("fundlyhub.metrics")


@click.command("metrics")
@host_option
@port_option(9464)
@click.option("--once", is_flag=True, help="Print the metrics once; the exit status is 1 if a source is missing.")
@verbose_option
def command(host: str, port: int, once: bool, verbose: bool) -> None:
    """Serve /metrics, /healthz and /readyz until SIGTERM or Ctrl-C. One process is enough for a platform."""
    try:
        from prometheus_client import generate_latest

        from fundlyhub.monitoring.collector import UP, registry
        from fundlyhub.monitoring.serving import Server, make_app
    except ImportError:
        raise WrongUse('metrics need their extra: pip install "fundlyhub[metrics]"') from None
    configure(logging.DEBUG if verbose else logging.INFO)
    settings = get_settings()
    numbers = registry(settings, known_processors())
    if once:
        text = generate_latest(numbers).decode()
        say(text, end="")
        sys.exit(any(line.startswith(UP) and line.endswith(" 0.0") for line in text.splitlines()))
    stop = stop_on_signals()
    try:
        server = Server(host, port, make_app(settings, numbers))
    except OSError as error:
        raise Unavailable(f"cannot listen at {host}:{port}: {error.strerror}; choose another --port") from None
    with server:
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        log.info("serving at http://%s:%d/metrics", host, server.server_port)
        stop.wait()
        server.shutdown()
