"""The stack of `fundlyhub up`: missing servers, migrations, relay, ingest, workers and Flower."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import SecretStr

from fundlyhub.database.roles import OWNER, PREFIX
from fundlyhub.embedded import console, flower
from fundlyhub.embedded.console import Console
from fundlyhub.embedded.flower import Flower
from fundlyhub.embedded.holding import hold
from fundlyhub.embedded.logins import Logins
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.supervisor import Service, Supervisor
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.private_files import write_private
from fundlyhub.processing.processor import Queue
from fundlyhub.settings import BRANCHES, Settings

PARTS = ("postgres", "valkey", "relay", "ingest", "worker", "console", "flower")
"""All parts. A server that the settings name is never started."""
_INSTALLED = {"console": console.installed(), "flower": flower.installed()}
DEFAULT_PARTS = tuple(part for part in PARTS if _INSTALLED.get(part, True))
"""Parts that are started by default: console and Flower only if their extras are installed."""

WORKERS: Mapping[str, tuple[Queue, ...]] = {
    "worker": ("writes", "projections"),
    "notifications": ("notifications",),
    "background": ("broadcasts", "rebuilds"),
}
"""Workers and their queues: no donation waits for mails, and nothing at all for broadcasts and rebuilds."""

COMMANDS: Mapping[str, str] = {"relay": "connected to the log", "ingest": "connected: reading"}
"""The services that are commands of ours, and what each logs when it is ready."""

NO_VARIABLES: Mapping[str, str] = {}


def worker_command(name: str, queues: Iterable[Queue], children: int) -> list[str]:
    """The command line of a worker of these queues, whose name is of this process alone."""
    options = ["-Q", ",".join(queues), "-n", f"{name}-{os.getpid()}@%h", "-c", str(children), "-l", "INFO"]
    options += ["--without-gossip", "--without-mingle"]
    return [sys.executable, "-m", "celery", "-A", "fundlyhub", "worker", *options]


class Stack:
    """Starts the missing parts in ``settings.data_dir`` and stops them at the end. One stack per folder.

    ``variables`` are set for all services and override this process's environment.
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
        self.logins: Logins | None = None
        self._has_roles = False
        self.valkey: Valkey | None = None
        self.console: Console | None = None
        self.flower: Flower | None = None
        self.supervisor = Supervisor(self.folder / "log", on_death=on_death)
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey, unless the settings name servers; then ``settings`` is complete.

        Raises Unavailable if another process uses the folder or a server does not start.
        """
        self.take_folder()
        missing = [branch for branch in BRANCHES if getattr(self.settings, f"{branch}_dsn") is None]
        found: dict[str, SecretStr] = {}
        if missing and "postgres" in self._only:
            self.postgres = Postgres(self.folder / "postgres").start()
            self.supervisor.keep(self.postgres)
            self.postgres.create_databases(f"fundlyhub_{branch}" for branch in missing)
            server = self.postgres.dsn.rpartition("/")[0]
            dsns = {branch: f"{server}/fundlyhub_{branch}" for branch in missing}
            found |= {f"{branch}_dsn": SecretStr(dsn) for branch, dsn in dsns.items()}
            if len(missing) == len(BRANCHES):  # the roles of a server that was given are its operators'
                self.logins = Logins(self.folder / "roles", dsns)
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
        """The secret key of this folder, created once."""
        file = self.folder / "secret.key"
        if not file.exists():
            write_private(file, secrets.token_hex(32))
        return file.read_text()

    @property
    def has_databases(self) -> bool:
        """Whether all three databases are known: some parts need none."""
        return all(getattr(self.settings, f"{branch}_dsn") is not None for branch in BRANCHES)

    def migrate(self) -> None:
        """Migrate the databases, and make the roles of an embedded server; from then on we are the owner's.

        Raises Unavailable with the command's own text.
        """
        options = ("--roles", "--passwords", str(self.logins.folder)) if self.logins else ()
        if self.logins:
            self.settings, self._has_roles = self.settings.model_copy(update=self.logins.superuser()), False
        done = self.run("migrate", *options)
        if done.returncode:
            raise Unavailable(done.stderr.strip().removeprefix("fundlyhub: ") or "fundlyhub migrate failed")
        if self.logins:
            self.settings, self._has_roles = self.settings_of(OWNER), True

    def settings_of(self, role: str) -> Settings:
        """The settings with a role's databases; those of our own where the servers were given."""
        return self.settings.model_copy(update=self.logins.of(role) if self.logins else {})

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a `fundlyhub` command on this stack."""
        return subprocess.run(
            [sys.executable, "-m", "fundlyhub", *args], env=self.environment(),
            capture_output=True, text=True, check=False, start_new_session=True,  # Ctrl-C is for the parent
        )  # fmt: skip

    def start_services(self) -> None:
        """Start relay, ingest, Flower, and the workers for all queues, and wait until they are ready."""
        services = [self._command(name, ready) for name, ready in COMMANDS.items() if name in self._only]
        if "console" in self._only:
            self.console = Console(self.folder / "console")
            services.append(self.console.service(self.environment(f"{PREFIX}console")))
        if "flower" in self._only:
            self.flower = Flower(self.folder / "flower")
            services.append(self.flower.service(self.environment(None)))
        if "worker" in self._only:
            services += self._workers()
        self.supervisor.start(*services)

    def restart_workers(self, **variables: str) -> None:
        """Restart the workers with further environment variables."""
        self.supervisor.end(*WORKERS)
        self.supervisor.start(*self._workers(**variables))

    def stop(self) -> list[str]:
        """Stop all in reverse order within about 10 s; returns the names of those that were killed. Safe to repeat."""
        killed = self.supervisor.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        return killed

    def environment(self, role: str | None = OWNER) -> dict[str, str]:
        """The environment of a child process that works in this role: with no role it gets no database and no key."""
        # Relay and worker cannot share a port; here `fundlyhub metrics` serves the metrics.
        inherited = {name: value for name, value in os.environ.items() if name != "FUNDLYHUB_METRICS_PORT"}
        # Celery starts its soft shutdown on SIGTERM only with this variable.
        whole = {**inherited, **self._named(role), **self._variables, "REMAP_SIGTERM": "SIGQUIT"}
        secret = {*(f"FUNDLYHUB_{branch.upper()}_DSN" for branch in BRANCHES), "FUNDLYHUB_SECRET_KEY"}
        return whole if role else {name: value for name, value in whole.items() if name not in secret}

    def write_environment(self) -> Path:
        """Write the settings as lines NAME=VALUE for a shell, to a file that only its owner may read."""
        file = self.folder / "environment"
        write_private(file, "".join(f"{name}={shlex.quote(value)}\n" for name, value in self._named().items()))
        return file

    def servers(self) -> dict[str, SecretStr]:
        """The known servers by the name of their setting."""
        names = (*(f"{branch}_dsn" for branch in BRANCHES), "broker_url", "redis_url")
        return {name: value for name in names if (value := getattr(self.settings, name)) is not None}

    def _named(self, role: str | None = None) -> dict[str, str]:
        values = {name: value.get_secret_value() for name, value in self.servers().items()}
        if self.logins and role and self._has_roles:
            values |= {name: value.get_secret_value() for name, value in self.logins.of(role).items()}
        if self.settings.secret_key is not None:
            values["secret_key"] = self.settings.secret_key.get_secret_value()
        return {f"FUNDLYHUB_{name.upper()}": value for name, value in {**values, "data_dir": str(self.folder)}.items()}

    def _command(self, name: str, ready: str) -> Service:
        argv = [sys.executable, "-m", "fundlyhub", name]
        return Service(name, argv, self.environment(PREFIX + name), ready=ready)

    def _workers(self, **variables: str) -> list[Service]:
        env = {**self.environment(f"{PREFIX}worker"), **variables}
        limit = self.settings.stop_limit + 20  # its batches and its own end
        return [Service(name, self._worker(name), env, ready=" ready.", stop_limit=limit) for name in WORKERS]

    def _worker(self, name: str) -> list[str]:
        return [*worker_command(name, WORKERS[name], self._concurrency), *(["-E"] if self.flower else [])]

    def take_folder(self) -> None:
        """Create and lock the folder. Raises Unavailable if another process uses it."""
        if self._lock is not None:
            return
        # For our account only. If we are root, PostgreSQL's account may pass through but not list it.
        self.folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        self._lock = hold(self.folder)
