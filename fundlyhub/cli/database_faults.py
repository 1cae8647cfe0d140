"""What a command says when a database failed: one line, and what to do about it."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.faults import is_outage
from fundlyhub.observability.redaction import describe, original


def told(error: Exception) -> str | None:
    """What failed in a database, and what to do about it; None for an error of anything else."""
    if not isinstance(error, (DBAPIError, psycopg.Error)):
        return None
    said = describe(error)
    if is_outage(error):
        return f"a database failed ({said}): try again when it is back"
    match original(error):
        case psycopg.errors.InsufficientPrivilege():
            what_to_do = "give our role the rights that it lacks"
        case psycopg.errors.LockNotAvailable() | psycopg.errors.QueryCanceled():
            what_to_do = "see what holds it up, and try again"
        case _:
            what_to_do = "is it at this version's tables?"
    return f"a database refused a statement ({said}): {what_to_do}"
