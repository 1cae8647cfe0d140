"""Where it is measured: servers of our own that are full, and a console with a visitor."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import redis

from benchmarks.console.measuring import Visitor
from benchmarks.console.rows import Sizes, fill
from benchmarks.server import platform
from fundlyhub.console import sessions, tokens, users
from fundlyhub.database import get_engine
from fundlyhub.embedded.valkey import Valkey
from tests.support.command import environment
from tests.support.platform import Process, wait_until
from tests.support.rabbitmq import free_port

NAME = "measured"
OPTIONS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on",
           "max_wal_size": "4GB", "checkpoint_timeout": "15min", "autovacuum": "off"}  # fmt: skip


@contextmanager
def full(sizes: Sizes) -> Iterator[tuple[psycopg.Connection[Any], list[int]]]:
    """Servers with this much in them: an autocommit connection to the database, and their processes."""
    with (
        tempfile.TemporaryDirectory(prefix="fundlyhub-bench-", dir="/var/tmp") as folder,
        platform(OPTIONS) as dsn,
        psycopg.connect(dsn, autocommit=True) as db,
    ):
        valkey = Valkey(Path(folder) / "valkey").start()
        try:
            os.environ["FUNDLYHUB_REDIS_URL"] = os.environ["FUNDLYHUB_BROKER_URL"] = valkey.url
            os.environ["FUNDLYHUB_SECRET_KEY"] = "a key for benchmarks"
            db.execute("CREATE EXTENSION pg_stat_statements")
            fill(db, sizes)
            _fill_streams(valkey.url)
            yield db, [_parent(db.info.backend_pid), valkey.child.process.pid]
        finally:
            valkey.stop()


@contextmanager
def console(folder: Path) -> Iterator[tuple[int, Visitor]]:
    """A console, which is alone in its process: its number, and a visitor of the level privacy."""
    with get_engine("events").begin() as db:
        users.add(db, NAME, "privacy", None, who=NAME)
        session = sessions.begin(db, NAME, "link")
        token = tokens.add(db, NAME, NAME, days=1, level=None, who=NAME)
    ours = {name: value for name, value in os.environ.items() if name.startswith("FUNDLYHUB_")}
    ours.pop("FUNDLYHUB_STATEMENT_TIMEOUT", None)
    port = free_port()
    argv = [sys.executable, "-m", "fundlyhub", "console", "--port", str(port)]
    process = Process("console", argv, environment(ours), folder, fresh=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.said("Uvicorn running"), what="the console")
        with (
            httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as pages,
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as api,
        ):
            pages.cookies.set("fundlyhub_session", session)
            found = re.search(r'name="csrf" value="(\w+)"', pages.get("/processors").text)
            assert found is not None
            yield process.popen.pid, Visitor(pages, api, found[1])
    finally:
        process.kill()


def _parent(backend: int) -> int:
    """The first process of the server that a backend belongs to."""
    parent: int = psutil.Process(backend).ppid()
    assert parent > 1
    return parent


def _fill_streams(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.xgroup_create("fundlyhub:events", "fundlyhub", mkstream=True)
        for number in range(1_000):
            client.xadd("fundlyhub:events", {"type": "donation.completed", "number": str(number)})
