"""Servers for a session of tests: PostgreSQL and Valkey from the wheels of the extra "embedded", or the system's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import log_in_quickly
from fundlyhub.testing.disks import quick_folder

# No test here pulls the plug of the machine, and each CREATE and DROP DATABASE walks through all shared buffers.
_QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_prepared_transactions": "5",
    "max_wal_size": "256MB",
    "shared_buffers": "32MB",
}


@contextmanager
def folder_of_servers() -> Iterator[Path]:
    """A folder for servers, open to the account that PostgreSQL runs as, and gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="fundlyhub-tests-", dir=quick_folder()))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def quick_postgres(root: Path) -> Iterator[Postgres]:
    """A PostgreSQL server that writes no more than it must. Raises Unavailable when there is none to start."""
    server = Postgres(root, options=_QUICK)
    server.start()
    try:
        log_in_quickly(server)
        yield server
    finally:
        server.stop()


@contextmanager
def running_valkey(root: Path) -> Iterator[Valkey]:
    """A Valkey server. Raises Unavailable when there is none to start."""
    server = Valkey(root)
    server.start()
    try:
        yield server
    finally:
        server.stop()
