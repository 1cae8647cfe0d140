"""Lock of a data folder: one process at a time, whose name is in the lock file."""

from __future__ import annotations

import fcntl
import os
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO

from fundlyhub.errors import Unavailable, WrongUse

CHECKOUT = Path(__file__).parents[2]
"""Folder of this code."""
MADE_BY_DEMO = "made-by-demo"
"""File that marks a folder as made by a demo, so that the next demo may empty it."""


def of_checkout() -> str:
    """A folder name that no other checkout uses."""
    return f"{CHECKOUT.name}-{sha256(str(CHECKOUT).encode()).hexdigest()[:8]}"


def hold(folder: Path) -> IO[str]:
    """Lock the folder until the returned file is closed. Raises Unavailable that names the process that uses it."""
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(500).strip() or "another `fundlyhub up` or `demo`"
        lock.close()
        raise Unavailable(f"{folder} is used by {holder}: stop it, or choose another --data-dir") from None
    lock.seek(0)
    lock.truncate()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    command = "demo" if "demo" in sys.argv else "up"
    lock.write(f"`fundlyhub {command}` of {CHECKOUT} (process {os.getpid()}, since {since})")
    lock.flush()
    return lock


def claim_for_demo(folder: Path) -> None:
    """Mark a locked folder as a demo's, which empties it.

    Raises WrongUse if the folder has contents that no demo made.
    """
    mark = folder / MADE_BY_DEMO
    if not mark.exists() and any(one.name != "lock" for one in folder.iterdir()):
        raise WrongUse(
            f"{folder} holds what no demo has made, and a demo empties its folder: choose another --data-dir"
        )
    mark.touch()
