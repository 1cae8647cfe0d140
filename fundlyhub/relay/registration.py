"""What each processor wants, and since when, as the log knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from fundlyhub.processing.processor import Processor

# The first processors of a log get all of it. Later ones get what was published before them too, by way of
# the sweep, unless they say no: old news must not be mailed.
_REGISTER = """
    INSERT INTO events.processors AS known (name, patterns, from_position)
    VALUES (%(name)s, %(patterns)s, CASE WHEN %(history)s THEN 0
            ELSE (SELECT coalesce(max(position), 0) FROM events.events) END)
    ON CONFLICT (name) DO UPDATE SET patterns = excluded.patterns WHERE known.patterns <> excluded.patterns
"""
_KNOWN = "SELECT name, from_position FROM events.processors"


def register(db: psycopg.Connection[Any], processors: Mapping[str, type[Processor]]) -> None:
    """Enter the processors that this code has; one that it has no more stays, and is left alone."""
    with db.transaction():
        db.execute("LOCK TABLE events.processors IN SHARE ROW EXCLUSIVE MODE")
        first = not db.execute("SELECT 1 FROM events.processors LIMIT 1").fetchone()
        for name, processor in processors.items():
            db.execute(
                _REGISTER,
                {"name": name, "patterns": list(processor.patterns()), "history": first or processor.history},
            )


def starts(db: psycopg.Connection[Any]) -> dict[str, int]:
    """The position after which each processor wants events."""
    return dict(db.execute(_KNOWN).fetchall())
