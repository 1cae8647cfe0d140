"""A running console, and visitors of it: by HTTP, each with a session of their own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx

from fundlyhub.console import sessions, users
from fundlyhub.console.levels import LEVELS, Level
from fundlyhub.database import get_engine
from tests.support.platform import Process, wait_until
from tests.support.rabbitmq import free_port

PASSWORD = "a password for tests"


@dataclass(frozen=True, slots=True)
class Site:
    """A console that answers at ``url``. Its users are called as their levels."""

    url: str
    process: Process
    clients: ExitStack

    def anonymous(self) -> httpx.Client:
        """Nobody."""
        # A server limits the connections of one address, and a module has hundreds of visitors.
        alone = httpx.Limits(max_keepalive_connections=0)
        client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=30, limits=alone)
        return self.clients.enter_context(client)

    def visitor(self, level: Level) -> Visitor:
        """Somebody of this level who is signed in."""
        with get_engine("events").begin() as db:
            token = sessions.begin(db, level, "password")
        client = self.anonymous()
        client.cookies.set("fundlyhub_session", token)
        return Visitor(client, token)


class Visitor:
    """A browser's part in it: the cookie, and the token that each form carries."""

    def __init__(self, client: httpx.Client, token: str) -> None:
        self.client, self.token = client, token

    @cached_property
    def csrf(self) -> str:
        """The token, as a page holds it."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get("/processors").text)
        assert found is not None
        return found[1]

    def get(self, path: str) -> httpx.Response:
        """A page."""
        return self.client.get(path)

    def post(self, path: str, data: Mapping[str, str] | None = None) -> httpx.Response:
        """A form of a page."""
        return self.client.post(path, data={**(data or {}), "csrf": self.csrf})


@contextmanager
def served(folder: Path, *options: str, roles: Mapping[str, str] | None = None) -> Iterator[Site]:
    """A console process; ``roles`` are the settings of its own database role. Its database has a user of each level."""
    with get_engine("events").begin() as db:
        for level in LEVELS:
            users.add(db, level, level, PASSWORD, who="test")
    with running(folder, *options, roles=roles) as site:
        yield site


@contextmanager
def running(folder: Path, *options: str, roles: Mapping[str, str] | None = None) -> Iterator[Site]:
    """The same where the users are there already."""
    port = free_port()
    argv = [sys.executable, "-m", "fundlyhub", "console", "--port", str(port), *options]
    process = Process("console", argv, {**os.environ, **(roles or {})}, folder)
    try:
        wait_until(lambda: _runs(process), what="the console")
        with ExitStack() as clients:
            yield Site(f"http://127.0.0.1:{port}", process, clients)
    finally:
        process.kill()


def _runs(process: Process) -> bool:
    assert process.popen.poll() is None, process.log.read_text()
    return process.said("Uvicorn running")
