"""A publisher as an attacker has it: a role with the rights that docs/publishing.md grants, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support import ROOT

PASSWORD = "pw"
_numbers = count(1)


def documented_grants() -> str:
    """The statements of the page, for the role ``api``."""
    page = (ROOT / "docs" / "publishing.md").read_text()
    (block,) = [found for found in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "TO api" in found]
    return str(block)


@contextmanager
def publisher(owner: str, prefix: str = "api") -> Iterator[str]:
    """A login of its own with those rights; ``owner`` is the owner's DSN. The publisher's DSN."""
    role = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(owner, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD {PASSWORD!r}")
        db.execute(re.sub(r"\bapi\b", role, documented_grants()).encode())
    try:
        yield as_role(owner, role)
    finally:
        with psycopg.connect(owner, autocommit=True) as db:
            db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def as_role(dsn: str, role: str) -> str:
    """The same database, as another role."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


def log(owner: str, columns: str = "type, payload, metadata") -> list[tuple[Any, ...]]:
    """What is in the log, as its owner sees it."""
    with psycopg.connect(owner) as db:
        return db.execute(f"SELECT {columns} FROM events.events ORDER BY position").fetchall()
