"""The account that this process really runs as, for audits: not the name that somebody gives."""

from __future__ import annotations

import os
import pwd
import re
import socket
from pathlib import Path

_UNUSUAL = re.compile(r"[^A-Za-z0-9._+-]")
_NO_LOGIN = str(2**32 - 1)


def account() -> str:
    """The account by its real uid, at this host: ``ann@desk``, or ``root@desk (ann)`` for one that ann became.

    Who it was before is what the kernel knows of the login, or else what sudo says. No variable of the environment
    changes the part before the parenthesis.
    """
    name = user()
    before = _logged_in() or _plain(os.environ.get("SUDO_USER", ""))
    after = f" ({before})" if before and before != name else ""
    return f"{name}@{_plain(socket.gethostname())}{after}"


def user() -> str:
    """The name of the account by its real uid."""
    return _name(os.getuid())


def _name(uid: int) -> str:
    try:
        return _plain(pwd.getpwuid(uid).pw_name)
    except KeyError:  # a container's, which has a number alone
        return f"uid-{uid}"


def _logged_in() -> str | None:
    """The account of the login that this process stems from, which survives su and sudo; Linux alone keeps it."""
    try:
        uid = Path("/proc/self/loginuid").read_text().strip()
    except OSError:
        return None
    return _name(int(uid)) if uid.isdigit() and uid != _NO_LOGIN else None


def _plain(text: str) -> str:
    """A name of letters that need no quoting anywhere, and not too many of them."""
    return _UNUSUAL.sub("_", text)[:64]
