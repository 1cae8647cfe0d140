"""Who did what to which dead letter, when and why: written with each change, and read as a timeline."""

from __future__ import annotations

from sqlalchemy import Connection

from fundlyhub.database.audited import named
from fundlyhub.processing.dead_letters.model import Action, Entry

_NOTE = """
    INSERT INTO events.dead_letter_audit (letter_id, who, action, details)
    VALUES (%(letter)s, %(who)s, %(action)s, %(details)s)
"""
_TIMELINE = "SELECT at, who, action, details FROM events.dead_letter_audit WHERE letter_id = %(letter)s ORDER BY id"


def note(db: Connection, letter: int, *, who: str, action: Action, details: str | None = None) -> None:
    """One line about one letter."""
    values = {"letter": letter, "who": named(who), "action": action, "details": details}
    db.exec_driver_sql(_NOTE, values)


def timeline(db: Connection, letter: int) -> list[Entry]:
    """All that happened to a letter, in order."""
    return [Entry(*row) for row in db.exec_driver_sql(_TIMELINE, {"letter": letter})]
