"""Files that only their owner may read, whatever was there before under their name."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MODE = 0o600
"""Read and write for the owner, nothing for others."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file of mode 0600, which takes the place of ``path`` once it is whole.

    What is there stays until then, and after an error. A symbolic link or a device is not written through: raises
    OSError. ::

        with replacing(Path("letters.jsonl")) as file:
            file.write(b"...")
    """
    _require_plain(path)
    number, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)  # mode 0600, whatever the umask
    partial = Path(name)
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
