"""The wheel of this checkout, built from the files that git knows: what is installed elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import ROOT


def built(folder: Path) -> Path:
    """Build it in a folder."""
    source = folder / "source"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in files.decode().split("\0"):
        if name.startswith("fundlyhub/") or name in ("pyproject.toml", "README.md", "celeryconfig.py"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*argv, str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
