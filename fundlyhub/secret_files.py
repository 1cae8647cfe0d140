"""Settings from files: ``FUNDLYHUB_EVENTS_DSN_FILE`` names the file that holds ``FUNDLYHUB_EVENTS_DSN``.

Docker, Kubernetes and systemd hand secrets to a process as files; an environment is shown by `docker inspect`, and
inherited by every child.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fundlyhub.errors import WrongUse

ENDING = "_FILE"
LARGEST = 65_536
"""Bytes that such a file may have."""


def from_files(names: Iterable[str], prefix: str) -> dict[str, str]:
    """The settings of these names whose variable names a file; a last line's end is left out.

    Raises WrongUse, never with a value, for a setting that is given twice and for a file that cannot be read.
    """
    known = set(names)
    found: dict[str, str] = {}
    for name in sorted(known):
        variable = f"{prefix}{name.upper()}"
        path = os.environ.get(f"{variable}{ENDING}")
        if not path or f"{name}{ENDING.lower()}" in known:  # a setting of its own that ends so
            continue
        if os.environ.get(variable):
            raise WrongUse(f"set {variable} or {variable}{ENDING}, not both")
        found[name] = _read(Path(path), f"{variable}{ENDING}")
    return found


def _read(path: Path, variable: str) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode()
    except OSError as error:
        raise WrongUse(f"{variable}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{variable}: {path} is no text") from None
    if len(text) > LARGEST or not text.strip():
        raise WrongUse(f"{variable}: {path} is {'empty' if not text.strip() else 'too large'}")
    return text.removesuffix("\n").removesuffix("\r")
