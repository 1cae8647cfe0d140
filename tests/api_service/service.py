"""The example API service as a process, with a client on it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from fundlyhub.embedded.ports import free_port
from tests.support import ROOT
from tests.support.platform import Platform, Process, wait_until


@contextmanager
def running(platform: Platform) -> Iterator[httpx.Client]:
    """Start it, wait until it answers, and end it in order."""
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "examples.api_service.app:app", "--app-dir", str(ROOT)]
    process: Process = platform.start("api", [*argv, "--port", str(port), "--timeout-graceful-shutdown", "2"], {})
    wait_until(lambda: process.said("Application startup complete"), what="the API service")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    assert process.terminate() == -signal.SIGTERM  # uvicorn ends in order, and then hands the signal on


def done(answer: httpx.Response) -> dict[str, Any]:
    """What a request was answered; fails when it was refused."""
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def user(api: httpx.Client, name: str) -> str:
    """Somebody signs up."""
    return str(done(api.post("/users", json={"name": name, "email": f"{name.lower()}@example.org"}))["id"])


def campaign(api: httpx.Client, owner: str, title: str = "Rebuild the Orchestra") -> str:
    """Somebody opens a campaign."""
    body = {"owner_id": owner, "title": title, "story": "<p>Why.</p>", "goal_amount": "1000"}
    return str(done(api.post("/campaigns", json=body))["id"])
