"""Valkey (or Redis) as a child process."""

from __future__ import annotations

import secrets
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fundlyhub.embedded.binaries import find_valkey
from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.process import Child
from fundlyhub.embedded.server import Server
from fundlyhub.private_files import write_private


class Valkey(Server):
    """A server on 127.0.0.1. Its data, port and password are kept in ``root``."""

    name = "valkey"

    def __init__(self, root: Path, *, port: int | None = None) -> None:
        self.root, self._port = root, port

    @property
    def url(self) -> str:
        """The URL of database 0, with the password."""
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """The URL of one of the numbered databases."""
        password = (self.root / "password").read_text().strip()
        return f"redis://:{password}@127.0.0.1:{self._port}/{number}"

    def launch(self) -> Child:
        """Write the configuration and start the process."""
        data = self.root / "data"
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._port = self._port or kept_port(self.root / "port")
        return Child(
            self.name,
            [find_valkey(), self._configuration(data)],
            log=self.root / "valkey.log",
            pid_file=self.root / "valkey.pid",
        )

    def _configuration(self, data: Path) -> Path:
        """Write the configuration file: on a command line every user could read the password."""
        password = self.root / "password"
        if not password.exists():
            write_private(password, secrets.token_urlsafe(24))
        lines = {
            "bind": "127.0.0.1",
            "port": self._port,
            "dir": f'"{data}"',
            "requirepass": password.read_text().strip(),
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        file = self.root / "valkey.conf"
        write_private(file, "".join(f"{name} {value}\n" for name, value in lines.items()))
        return file

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
