"""Where the servers of the tests keep their data: in memory where that can be, as none of it outlives the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 3 << 30
"""Bytes that must be free in memory: the servers of four processes of tests take half of it, 0.4 GB each."""


def quick_folder(memory: Path = MEMORY, room: int = ROOM) -> Path | None:
    """The folder to make theirs in; None for the system's own place for temporary files.

    For each fresh database PostgreSQL copies hundreds of files, which takes a third of the time in memory.
    """
    if _is_fit(memory, room):
        return memory
    on_disk = Path("/var/tmp")
    return on_disk if on_disk.is_dir() else None


def _is_fit(memory: Path, room: int) -> bool:
    """Whether there is room, and programs may run: the server's own may be copied beside its data."""
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return False
    return shutil.disk_usage(memory).free >= room and not os.statvfs(memory).f_flag & os.ST_NOEXEC
