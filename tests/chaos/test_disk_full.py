"""A database whose disk is full: it refuses, or crashes and does not come up; nothing that it took is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.testing.databases import migrated_template
from tests.chaos.arena import DOUBTFUL, Arena
from tests.support.platform import wait_until
from tests.support.reliability import Record

WRITE = "CREATE TABLE IF NOT EXISTS public.filler AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)"


@pytest.fixture(scope="module")
def small_disk() -> Iterator[Path]:
    """A file system of 400 MB."""
    folder = Path("/var/tmp") / f"fundlyhub-small-{os.getpid()}"
    folder.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size=400m,mode=755,uid={os.geteuid()}"
    done = subprocess.run(
        [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run([*as_root, "umount", "-l", folder], check=True)
    folder.rmdir()


@pytest.fixture(scope="module")
def chaos_postgres(small_disk: Path) -> Iterator[Postgres]:
    """The server that all processes of this module use, on that disk."""
    server = Postgres(small_disk / "postgres", options={"fsync": "off", "shared_buffers": "32MB"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chaos_template(chaos_postgres: Postgres) -> str:
    """As in the conftest, on this server."""
    return migrated_template(chaos_postgres)


@pytest.mark.timeout(900)
def test_a_full_disk_under_load(
    arena: Arena, chaos_postgres: Postgres, small_disk: Path, measured: list[Record]
) -> None:
    ballast = small_disk / "ballast"

    def fault() -> None:
        fill(ballast)
        wait_until(lambda: refused(arena), what="the database to refuse")
        ballast.unlink()
        if not chaos_postgres.alive:
            chaos_postgres.start()  # as its supervisor does
        wait_until(lambda: not refused(arena), what="the database to take writes again")

    load, ended = arena.under_load(fault, times=2)
    record = Record("PostgreSQL: disk full", arena.broker_name, 2)
    measured.append(arena.settled_and_right(load, record, since=ended, unknown=DOUBTFUL))


def fill(file: Path) -> None:
    """Take all the space that is left."""
    with suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(1_000_000))
    with suppress(OSError), file.open("ab", buffering=0) as out:
        while True:
            out.write(bytes(4_096))


def refused(arena: Arena) -> bool:
    """Whether the database takes no writes, or does not answer."""
    try:
        with psycopg.connect(arena.platform.dsn, autocommit=True) as db:
            db.execute("DROP TABLE IF EXISTS public.filler")
            db.execute(WRITE)
            db.execute("DROP TABLE public.filler")
    except psycopg.Error:
        return True
    return False
