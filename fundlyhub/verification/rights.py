"""Which tables our role may not read: what they tell is left out of a verification, and the report says so."""

from __future__ import annotations

from fundlyhub.verification.scope import Db

_UNREADABLE = """
    SELECT current_user, name FROM unnest(%(tables)s::text[]) AS name
    WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(name, 'SELECT')
"""


def unreadable(db: Db, *tables: str) -> str:
    """Why these tables cannot be read, in a sentence; empty if all of them can."""
    found = db.execute(_UNREADABLE, {"tables": list(tables)}).fetchall()
    if not found:
        return ""
    return f"our role {found[0][0]} may not read {', '.join(name for _, name in found)}"
