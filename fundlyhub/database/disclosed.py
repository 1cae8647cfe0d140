"""Disclosures: who was shown payloads, or wrote them to a file. The line is committed before anything is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fundlyhub.database.audited import named

_NOTE = "INSERT INTO events.disclosures (who, command, what) VALUES (%(who)s, %(command)s, %(what)s)"
_LIST = """
    SELECT at, who, account, role, command, what FROM events.disclosures ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One line: when, who (as given), the real account, the database role, the command, and of what."""

    at: datetime
    who: str
    account: str | None
    role: str | None
    command: str
    what: str


def note(db: Connection, *, who: str, command: str, what: str) -> None:
    """Add a line, in the caller's transaction. Raises WrongUse without a name."""
    db.exec_driver_sql(_NOTE, {"who": named(who), "command": command, "what": " ".join(what.split())[:1_000]})


def disclosures(db: Connection, *, limit: int) -> list[Disclosure]:
    """The newest lines, the last one first."""
    return [Disclosure(*row) for row in db.exec_driver_sql(_LIST, {"limit": limit})]
