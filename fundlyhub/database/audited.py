"""Audits: who decided what about a row, when and why. A name and a reason are one printable line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fundlyhub.errors import WrongUse

MAX_REASON = 1_000
"""Characters of a reason."""
UNKNOWN = "unknown"
"""The state that ``Changes`` gives for an id without a row."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of an audit: when, who, what was done, and why or with which result.

    ``who`` is the given name, ``account`` the real one at its host, and ``role`` that of the database: None in entries
    of a release that did not record them.
    """

    at: datetime
    who: str
    action: str
    details: str | None
    account: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows that a decision changed, in order of their ids, and the state of each row that it did not change."""

    changed: tuple[int, ...]
    unchanged: Mapping[int, str]


class Audit:
    """The table of one audit, whose column ``key`` names the row that was decided on."""

    def __init__(self, table: str, key: str) -> None:
        self._note = f"""
            INSERT INTO {table} ({key}, who, action, details) VALUES (%(row)s, %(who)s, %(action)s, %(details)s)
        """  # noqa: S608  # our own names
        self._timeline = f"""
            SELECT at, who, action, details, account, role FROM {table} WHERE {key} = %(row)s ORDER BY id
        """  # noqa: S608

    def note(self, db: Connection, row: int, *, who: str, action: str, details: str | None = None) -> None:
        """Add an entry, in the caller's transaction. Raises WrongUse without a name."""
        db.exec_driver_sql(self._note, {"row": row, "who": named(who), "action": action, "details": details})

    def timeline(self, db: Connection, row: int) -> list[AuditEntry]:
        """All entries of a row, in order."""
        return [AuditEntry(*columns) for columns in db.exec_driver_sql(self._timeline, {"row": row})]


def named(who: str) -> str:
    """The name of the person or the process that does something. Raises WrongUse when there is none."""
    return _line("who does it", who)


def reasoned(reason: str) -> str:
    """The reason of what is done. Raises WrongUse when there is none."""
    return _line("the reason", reason)


def _line(what: str, text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise WrongUse(f"{what} must be one printable line of 1 to {MAX_REASON:,} characters")
    return text
