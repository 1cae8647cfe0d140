"""The types that a publisher's database role may publish; a role that is not named here may publish all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from fundlyhub.errors import WrongState, WrongUse

_ROLE = text("SELECT 1 FROM pg_roles WHERE rolname = :publisher")
# PostgreSQL does not let two transactions grant rights on one object at a time: the second one fails.
_ALONE = text("LOCK TABLE events.publisher_types IN SHARE ROW EXCLUSIVE MODE")
_ALLOW = text("""
    INSERT INTO events.publisher_types (publisher, type, who) SELECT :publisher, type, :who
    FROM unnest(CAST(:types AS text[])) AS type ON CONFLICT DO NOTHING
""")
_REVOKE = text("DELETE FROM events.publisher_types WHERE publisher = :publisher AND type = ANY (:types)")
_UNLIMIT = text("DELETE FROM events.publisher_types WHERE publisher = :publisher")
_LEFT = text("SELECT count(*) FROM events.publisher_types WHERE publisher = :publisher")
_ALL = text("""
    SELECT publisher, type, who, account, allowed_at, publisher IN (SELECT rolname FROM pg_roles)
    FROM events.publisher_types ORDER BY publisher, type
""")


class Allowed(NamedTuple):
    """A type that a role may publish: who allowed it, by which account and when, and whether there is such a role."""

    publisher: str
    type: str
    who: str
    account: str | None
    allowed_at: datetime
    exists: bool


def allow(db: Connection, publisher: str, types: Sequence[str], *, who: str) -> int:
    """Let a role publish these types beside those that it may publish; from the first on it may publish no other.

    The number of new ones. Raises WrongUse where no such role can log in.
    """
    if db.execute(_ROLE, {"publisher": publisher}).first() is None:
        raise WrongUse("no such database role: a limit is for the role that a service logs in as")
    db.execute(_ALONE)
    # The view `publications` is closed while this flag is up, and the flag reads as down for those who may not see it.
    name = db.dialect.identifier_preparer.quote_identifier(publisher)
    db.exec_driver_sql(f"GRANT SELECT ON SEQUENCE events.closer_look TO {name}")
    return db.execute(_ALLOW, {"publisher": publisher, "types": list(types), "who": who}).rowcount


def revoke(db: Connection, publisher: str, types: Sequence[str]) -> int:
    """Take types away from a role; how many it had. Raises WrongState where none is left: that would lift the limit."""
    taken = db.execute(_REVOKE, {"publisher": publisher, "types": list(types)}).rowcount
    if taken and not db.execute(_LEFT, {"publisher": publisher}).scalar_one():
        raise WrongState("a role without a type is not limited: take its right to publish away, or lift the limit")
    return taken


def unlimit(db: Connection, publisher: str) -> int:
    """Let a role publish every type again; how many it was limited to."""
    return db.execute(_UNLIMIT, {"publisher": publisher}).rowcount


def allowed(db: Connection) -> list[Allowed]:
    """All limits, by role and type."""
    return [Allowed(*row) for row in db.execute(_ALL)]
