"""Files that only their owner may read, whatever was there before under their name."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

MODE = 0o600
"""Read and write for the owner, nothing for others."""
JUST_MADE = 5.0
"""Seconds for which a new file may not be locked yet."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file of mode 0600, which takes the place of ``path`` once it is whole.

    What is there stays until then, and after an error. A process that is killed meanwhile leaves a hidden file of the
    same mode (`.letters.jsonl.….partial`), which the next one deletes. A symbolic link or a device is not written
    through: raises OSError. ::

        with replacing(Path("letters.jsonl")) as file:
            file.write(b"...")
    """
    _require_plain(path)
    _clear(path)
    # Mode 0600, whatever the umask. The lock, which ends with this process, says that the file is not left over.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    partial = Path(name)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)  # a link that was put there meanwhile is replaced, and not followed
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a whole file of mode 0600. Raises OSError."""
    with replacing(path) as file:
        file.write(text.encode())


def anew(path: Path) -> BinaryIO:
    """Create a file of mode 0600; what had its name before, such as a link or what a killed run left, is gone.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE), "wb")


def appending(path: Path) -> BinaryIO:
    """Open a file for appending that has mode 0600, now if not before. Raises OSError for a symbolic link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, MODE)
    file = os.fdopen(descriptor, "ab")
    try:
        os.fchmod(descriptor, MODE)
    except BaseException:
        file.close()
        raise
    return file


def _clear(path: Path) -> None:
    """Delete what killed processes have left of this file; what another process writes is locked, or just made."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime < JUST_MADE:
                continue
            number = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(number)


def _require_plain(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        what = "it is a symbolic link" if stat.S_ISLNK(mode) else "it is no regular file"
        raise OSError(errno.EINVAL, what, str(path))
