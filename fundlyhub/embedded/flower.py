"""Flower as a service of the embedded stack: on 127.0.0.1, with a password, read-only."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.supervisor import Service
from fundlyhub.errors import WrongUse
from fundlyhub.private_files import write_private

USER = "fundlyhub"
MAX_TASKS = 10_000
"""Tasks that Flower keeps in memory: about 30 MB."""
COLUMNS = "name,state,args,result,received,runtime,worker"
"""Columns of the task list: processor and positions say more than an id."""


def installed() -> bool:
    """Whether the extra is installed."""
    return find_spec("flower") is not None


class Flower:
    """Flower's command line. Its port and password are kept in ``root``."""

    def __init__(self, root: Path) -> None:
        """Create port and password if needed. Raises WrongUse without the extra."""
        if not installed():
            raise WrongUse('Flower needs its extra: pip install "fundlyhub[flower]"')
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.password_file = root / "password"
        self.fresh_password: str | None = None
        """The password, if it is new: it is shown only once."""
        if not self.password_file.exists():
            self.fresh_password = secrets.token_urlsafe(18)
            write_private(self.password_file, self.fresh_password)
        self._port = kept_port(root / "port")

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._port}/"

    def service(self, environment: Mapping[str, str]) -> Service:
        """The service for the supervisor. The password is in the environment: every user can read command lines."""
        options = ["--address=127.0.0.1", f"--port={self._port}", f"--max_tasks={MAX_TASKS}", "--read_only=true"]
        options += [f"--tasks_columns={COLUMNS}"]
        login = f"{USER}:{self.password_file.read_text().strip()}"
        return Service(
            "flower",
            [sys.executable, "-m", "celery", "-A", "fundlyhub", "flower", *options],
            {**environment, "FLOWER_BASIC_AUTH": login},
            ready="Visit me at",
            stop_limit=10,
        )
