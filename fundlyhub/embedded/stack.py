"""The whole platform on one machine: the servers that no setting names, migrations, relay, ingest and worker."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import SecretStr

from fundlyhub.embedded.files import write_private
from fundlyhub.embedded.flower import Flower, installed
from fundlyhub.embedded.holding import hold
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.supervisor import Service, Supervisor
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.processing.processor import Queue
from fundlyhub.settings import BRANCHES, Settings

PARTS = ("postgres", "valkey", "relay", "ingest", "worker", "flower")
"""What may be started; servers that the settings name are never started."""
DEFAULT_PARTS = PARTS if installed() else PARTS[:-1]
"""What is started when nobody says what: Flower where its extra is installed."""

WORKERS: Mapping[str, tuple[Queue, ...]] = {
    "worker": ("writes", "projections", "notifications"),
    "broadcasts": ("broadcasts",),
}
"""The workers and their queues: a message to many runs in no process in which one to a single person might wait."""

NO_VARIABLES: Mapping[str, str] = {}


class Stack:
    """Starts what is missing, in ``settings.data_dir``, and stops it all at the end. One at a time per folder.

    ``variables`` go to all services, before those of this process's own environment.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        only: Collection[str] = DEFAULT_PARTS,
        concurrency: int = 2,
        variables: Mapping[str, str] = NO_VARIABLES,
        on_death: Callable[[str, int, float], None] = lambda name, status, wait: None,
    ) -> None:
        if unknown := set(only) - set(PARTS):
            raise WrongUse(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        self.folder = settings.data_dir.absolute()  # the servers work in "/"
        self.settings, self._only, self._concurrency, self._variables = settings, only, concurrency, variables
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.flower: Flower | None = None
        self.supervisor = Supervisor(self.folder / "log", on_death=on_death)
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey, unless the settings name others; ``settings`` is complete after it.

        Raises Unavailable when another process uses the folder, or a server does not start.
        """
        self.take_folder()
        missing = [branch for branch in BRANCHES if getattr(self.settings, f"{branch}_dsn") is None]
        found: dict[str, SecretStr] = {}
        if missing and "postgres" in self._only:
            self.postgres = Postgres(self.folder / "postgres").start()
            self.supervisor.keep(self.postgres)
            self.postgres.create_databases(f"fundlyhub_{branch}" for branch in missing)
            server = self.postgres.dsn.rpartition("/")[0]
            found |= {f"{branch}_dsn": SecretStr(f"{server}/fundlyhub_{branch}") for branch in missing}
        if "valkey" in self._only and None in (self.settings.broker_url, self.settings.redis_url):
            self.valkey = Valkey(self.folder / "valkey").start()
            self.supervisor.keep(self.valkey)
            if self.settings.broker_url is None:
                found["broker_url"] = SecretStr(self.valkey.database_url(0))
            if self.settings.redis_url is None:
                found["redis_url"] = SecretStr(self.valkey.database_url(1))
        if self.settings.secret_key is None:
            found["secret_key"] = SecretStr(self._own_key())
        self.settings = self.settings.model_copy(update=found)

    def _own_key(self) -> str:
        """The key of this folder, made once."""
        file = self.folder / "secret.key"
        if not file.exists():
            write_private(file, secrets.token_hex(32))
        return file.read_text()

    @property
    def has_databases(self) -> bool:
        """Whether all three databases are known: a part of the platform may do without."""
        return all(getattr(self.settings, f"{branch}_dsn") is not None for branch in BRANCHES)

    def migrate(self) -> None:
        """Bring the databases to this version's tables. Raises Unavailable with the command's own words."""
        done = self.run("migrate")
        if done.returncode:
            raise Unavailable(done.stderr.strip().removeprefix("fundlyhub: ") or "fundlyhub migrate failed")

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """A `fundlyhub` command on this stack, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "fundlyhub", *args], env=self.environment(),
            capture_output=True, text=True, check=False, start_new_session=True,  # Ctrl-C is for us
        )  # fmt: skip

    def start_services(self) -> None:
        """Start relay, ingest, Flower, and the workers for all queues, and wait until they are ready."""
        env = self.environment()
        for name, ready in (("relay", "connected to the log"), ("ingest", "connected: reading")):
            if name in self._only:
                self.supervisor.start(Service(name, [sys.executable, "-m", "fundlyhub", name], env, ready=ready))
        if "flower" in self._only:  # before the worker: it knows no task that it has not seen
            self.flower = Flower(self.folder / "flower")
            self.supervisor.start(self.flower.service(env))
        if "worker" in self._only:
            self.start_worker()

    def start_worker(self, **variables: str) -> None:
        """Start the workers, or end them and start some with further environment variables in their place."""
        env, limit = {**self.environment(), **variables}, self.settings.stop_limit + 20  # its batches' time and its own
        for name in WORKERS:
            self.supervisor.end(name)
        for name in WORKERS:
            self.supervisor.start(Service(name, self._worker(name), env, ready=" ready.", stop_limit=limit))

    def stop(self) -> list[str]:
        """Stop all in reverse order, within some 10 s; the names of those that had to be killed. Safe to repeat."""
        killed = self.supervisor.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        return killed

    def environment(self) -> dict[str, str]:
        """What child processes need to find the servers."""
        # One port cannot be the relay's and the worker's; here `fundlyhub metrics` tells the numbers.
        inherited = {name: value for name, value in os.environ.items() if name != "FUNDLYHUB_METRICS_PORT"}
        # Celery's soft shutdown answers SIGTERM only under this variable.
        return {**inherited, **self._named(), **self._variables, "REMAP_SIGTERM": "SIGQUIT"}

    def write_environment(self) -> Path:
        """The settings as lines of NAME=VALUE for a shell, in a file that only its owner may read."""
        file = self.folder / "environment"
        write_private(file, "".join(f"{name}={shlex.quote(value)}\n" for name, value in self._named().items()))
        return file

    def servers(self) -> dict[str, SecretStr]:
        """The servers that are known by now, by the name of their setting."""
        names = (*(f"{branch}_dsn" for branch in BRANCHES), "broker_url", "redis_url")
        return {name: value for name in names if (value := getattr(self.settings, name)) is not None}

    def _named(self) -> dict[str, str]:
        values = {name: value.get_secret_value() for name, value in self.servers().items()}
        if self.settings.secret_key is not None:
            values["secret_key"] = self.settings.secret_key.get_secret_value()
        return {f"FUNDLYHUB_{name.upper()}": value for name, value in {**values, "data_dir": str(self.folder)}.items()}

    def _worker(self, name: str) -> list[str]:
        processes = 1 if name == "broadcasts" else self._concurrency
        options = ["-Q", ",".join(WORKERS[name]), "-n", f"{name}-{os.getpid()}@%h", "-l", "INFO"]
        options += ["-c", str(processes), "--without-gossip", "--without-mingle"]
        options += ["-E"] if self.flower else []
        return [sys.executable, "-m", "celery", "-A", "fundlyhub", "worker", *options]

    def take_folder(self) -> None:
        """Make the folder ours. Raises Unavailable when another process uses it."""
        if self._lock is not None:
            return
        # Ours alone; PostgreSQL's account, when we are root, may go through but not look.
        self.folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        self._lock = hold(self.folder)
