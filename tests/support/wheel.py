"""The wheel of this checkout, built from the files that git knows: what is installed elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ROOT


def built(folder: Path) -> Path:
    """Build it in a folder."""
    source = folder / "source"
    single = ("pyproject.toml", "README.md", "celeryconfig.py")
    copy_tracked(source, lambda name: name.startswith("fundlyhub/") or name in single)
    return wheel_of(source, folder)


def copy_tracked(source: Path, wanted: Callable[[str], bool], below: Path = ROOT) -> None:
    """Copy the files of a folder of the checkout that git knows, as far as they are wanted."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=below, capture_output=True, check=True).stdout
    for name in filter(wanted, files.decode().strip("\0").split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((below / name).read_bytes())


def wheel_of(source: Path, folder: Path) -> Path:
    """Build the wheel of a source tree in a folder."""
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*argv, str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def require_index(python: Path) -> None:
    """Skip where no package index answers; on CI it has to."""
    argv = [str(python), "-m", "pip", "index", "versions", "click", "--retries", "0", "--timeout", "20"]
    asked = subprocess.run(argv, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        said = f"no package index answers: {asked.stderr.strip().rpartition(chr(10))[2]}"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
