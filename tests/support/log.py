"""Looking at the log from outside: what others see of it."""

from __future__ import annotations

from typing import Any

import psycopg


def sqlalchemy_url(dsn: str) -> str:
    """The same address for SQLAlchemy with psycopg."""
    return dsn.replace("postgresql://", "postgresql+psycopg://", 1)


def rows(dsn: str, query: str = "SELECT position FROM events.events ORDER BY position") -> list[Any]:
    """The first column of what is committed; by default the positions of all events."""
    with psycopg.connect(dsn, autocommit=True) as db:
        return [row[0] for row in db.execute(query).fetchall()]
