"""The audit of the console: its users, and what operators begin there or, with a reason, by a command."""

from __future__ import annotations

from sqlalchemy import Connection

from fundlyhub.database.audited import named, reasoned

_NOTE = """
    INSERT INTO events.console_audit (name, who, action, details)
    VALUES (%(name)s, %(who)s, %(action)s, %(details)s)
"""


def note(db: Connection, name: str, *, who: str, action: str, details: str | None = None) -> None:
    """Add a line about a user or a thing, in the caller's transaction. Raises WrongUse without a name."""
    db.exec_driver_sql(_NOTE, {"name": name, "who": named(who), "action": action, "details": details})


def note_rebuild(db: Connection, verb: str, processor: str, *, who: str, reason: str) -> None:
    """Keep why somebody asks to start, exchange or end a rebuild. Raises WrongUse without a name or a reason."""
    note(db, processor, who=who, action=f"rebuild {verb}", details=reasoned(reason))
