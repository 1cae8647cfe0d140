"""The console as a service of the embedded stack: on 127.0.0.1, with one user and a link that signs in once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fundlyhub.account import user
from fundlyhub.database.engines import make_engine
from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.supervisor import Service
from fundlyhub.errors import WrongUse
from fundlyhub.settings import Settings

NAME = "local"
"""The console's user on this machine, who may do everything, and has no password."""


def installed() -> bool:
    """Whether the extra is installed."""
    return all(find_spec(name) is not None for name in ("argon2", "starlette", "uvicorn"))


class Console:
    """The console's command line. Its port is kept in ``root``."""

    def __init__(self, root: Path) -> None:
        """Choose the port. Raises WrongUse without the extra."""
        if not installed():
            raise WrongUse('the console needs its extra: pip install "fundlyhub[console]"')
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port = kept_port(root / "port")

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._port}"

    def service(self, environment: Mapping[str, str]) -> Service:
        """The service for the supervisor."""
        argv = [sys.executable, "-m", "fundlyhub", "console", "--port", str(self._port)]
        return Service("console", argv, environment, ready="Uvicorn running", stop_limit=10)

    def link(self, settings: Settings) -> str:
        """An address that signs this machine's user in once. ``settings`` are the owner's."""
        from fundlyhub.console import sessions, users  # they need the extra

        engine = make_engine("events", settings, pooled=False)
        with engine.begin() as db:
            if users.level_of(db, NAME) is None:
                users.add(db, NAME, "privacy", None, who=user())
            return f"{self.url}/sign-in/link/{sessions.make_link(db, NAME, who=user())}"
