"""A PgBouncer of our own, from Debian's package, in front of the tests' PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import psycopg

from tests.support.platform import wait_until
from tests.support.rabbitmq import free_port

MISSING = "PgBouncer is not installed (Debian: apt-get install pgbouncer)"

_SETTINGS = """
[databases]
* = host={host} port={port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
auth_user = {user}
pool_mode = {mode}
default_pool_size = 50
max_client_conn = 200
server_idle_timeout = 5
ignore_startup_parameters = {ignored}
{prepared}
"""
PREPARES_SINCE = (1, 21)
"""The first version that can keep prepared statements in transaction mode."""


def binary() -> str | None:
    """PgBouncer's program, which Debian keeps out of the PATH of plain users."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


def version() -> tuple[int, ...]:
    """The version that is installed, such as (1, 18, 0)."""
    said = subprocess.run([binary() or MISSING, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[1].split("."))


class PgBouncer:
    """A pooler in one mode; ``ignores_options`` drops what others refuse, as is usual behind application servers.

    It keeps ``prepared`` statements of each client; what it does by default depends on its version.
    """

    def __init__(
        self,
        server_dsn: str,
        mode: Literal["session", "transaction"],
        *,
        ignores_options: bool,
        prepared: int | None = None,
    ) -> None:
        parts = urlsplit(server_dsn)
        self._port = free_port()
        self._dir = Path(tempfile.mkdtemp(prefix="fundlyhub-pgbouncer-"))
        ignored = "extra_float_digits, options" if ignores_options else "extra_float_digits"
        (self._dir / "pgbouncer.ini").write_text(
            _SETTINGS.format(
                host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
                listen=self._port, mode=mode, ignored=ignored,
                prepared="" if prepared is None else f"max_prepared_statements = {prepared}",
            )
        )  # fmt: skip
        self._user = parts.username

    def dsn(self, server_dsn: str) -> str:
        """The way to a database of the server through the pooler."""
        return f"postgresql://{self._user}@127.0.0.1:{self._port}/{urlsplit(server_dsn).path.lstrip('/')}"

    def __enter__(self) -> Self:
        account = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        if account:
            nobody = pwd.getpwnam("nobody")
            for path in (self._dir, self._dir / "pgbouncer.ini"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        program = binary()
        assert program is not None, MISSING
        with (self._dir / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [program, str(self._dir / "pgbouncer.ini")], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **account,  # type: ignore[call-overload]
            )  # fmt: skip
        wait_until(self._answers, timeout=20, what="PgBouncer")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"PgBouncer ended:\n{(self._dir / 'output').read_text(errors='replace')[-2000:]}")
        try:
            psycopg.connect(self.dsn("/postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
