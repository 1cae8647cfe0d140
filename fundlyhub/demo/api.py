"""The example API service as a process of the demo's stack."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from fundlyhub.embedded.logins import SERVICE
from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.stack import Stack
from fundlyhub.embedded.supervisor import Service
from fundlyhub.errors import WrongUse

CHECKOUT = Path(__file__).parents[2]
MODULE = "examples.api_service.app"
MIRROR = "donation.completed,donation.refunded"
"""What its page listens to."""


def require() -> None:
    """Raise WrongUse where it cannot run: without its extra, or without the checkout that it is a part of."""
    if any(find_spec(name) is None for name in ("fastapi", "greenlet", "httpx", "uvicorn")):
        raise WrongUse('the example API service needs its extra: pip install "fundlyhub[example]"')
    if not (CHECKOUT / f"{MODULE.replace('.', '/')}.py").exists():
        raise WrongUse("the example API service is not part of the package: run `fundlyhub demo --api` in a checkout")


def start(stack: Stack) -> str:
    """Start it beside relay and worker, and wait until it answers; its address."""
    if stack.logins:
        stack.logins.make_service()
    port = kept_port(stack.folder / "api.port")
    argv = [sys.executable, "-m", "uvicorn", f"{MODULE}:app", "--app-dir", str(CHECKOUT), "--port", str(port)]
    argv += ["--no-access-log", "--timeout-graceful-shutdown", "2"]  # a page that listens would listen for ever
    stack.supervisor.start(Service("api", argv, stack.environment(SERVICE), ready="Application startup complete"))
    return f"http://127.0.0.1:{port}"
