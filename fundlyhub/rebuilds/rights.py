"""Tells whether our database role may rebuild: that makes schemas, and exchanges tables that the role must own."""

from __future__ import annotations

from dataclasses import dataclass

from fundlyhub.database import connect
from fundlyhub.settings import Branch, Settings

_RIGHTS = """
    SELECT current_user::text, has_database_privilege(current_database(), 'CREATE')
        AND (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s))
"""


@dataclass(frozen=True, slots=True)
class Rights:
    """Our role in one database. The owner's may start, compare, exchange and drop rebuilds there; no other may."""

    role: str
    is_owner: bool


def rights(settings: Settings, branch: Branch) -> Rights:
    """What our role may do in the database of some processors. Raises Unavailable when it cannot be reached."""
    with connect(branch, settings=settings, autocommit=True) as db:
        role, may = db.execute(_RIGHTS, (f"{branch}.rebuilds",)).fetchone() or ("", False)
    return Rights(role, bool(may))
