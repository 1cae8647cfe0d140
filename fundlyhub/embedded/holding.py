"""Who uses a data folder: one process at a time, which says who it is."""

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
"""Where this code lies."""
MADE_BY_DEMO = "made-by-demo"
"""The file that says that a demo has made a folder, and that the next one may empty it."""


def of_checkout() -> str:
    """A name for a folder that belongs to this checkout alone."""
    return f"{CHECKOUT.name}-{sha256(str(CHECKOUT).encode()).hexdigest()[:8]}"


def hold(folder: Path) -> IO[str]:
    """Make the folder ours until the file that is returned is closed.

    Raises Unavailable, which names the process that uses it.
    """
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
    """Mark a folder that we hold as a demo's, which empties it.

    Raises WrongUse when it holds what no demo has made: that must not go.
    """
    mark = folder / MADE_BY_DEMO
    if not mark.exists() and any(one.name != "lock" for one in folder.iterdir()):
        raise WrongUse(
            f"{folder} holds what no demo has made, and a demo empties its folder: choose another --data-dir"
        )
    mark.touch()
