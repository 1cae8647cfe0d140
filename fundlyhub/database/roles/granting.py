"""Makes the roles in one database what the declaration says: grants what is missing, and revokes what is too much.

It may be repeated at any time, and beside itself. What other roles were granted by hand is theirs: it stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from fundlyhub.database.roles.catalog import Grant, Object, actual, objects, wanted
from fundlyhub.database.roles.declared import OWNER, PREFIX, ROLES
from fundlyhub.settings import Branch

NAMES = (*(f"{PREFIX}{role}" for role in ROLES), OWNER)
_LOCK = 0x726F6C6573  # "roles": one at a time in a cluster

_ATTRIBUTES = """
    SELECT rolname, rolcanlogin AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    FROM pg_roles WHERE rolname = ANY (%s)
"""
_MEMBERSHIPS = """
    SELECT m.member::regrole::text, m.roleid::regrole::text FROM pg_auth_members m
    WHERE m.member::regrole::text = ANY (%s)
"""
# A server's log has no place for people's data: a failing statement, a row's values and parameters stay out of it.
_QUIET = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was changed in one database. ``quiet`` says whether the roles' statements stay out of the server's log."""

    branch: Branch
    created: tuple[str, ...]
    granted: int
    revoked: int
    owned: int
    quiet: bool


class _Change(NamedTuple):
    """Rights of one role on one object that are granted, or revoked."""

    grant: bool
    role: str
    object: Object
    privileges: tuple[tuple[str, str | None], ...]

    def statement(self) -> Composed:
        """The statement that does it."""
        listed = SQL(", ").join(
            SQL(privilege) if column is None else SQL("{} ({})").format(SQL(privilege), Identifier(column))
            for privilege, column in self.privileges
        )
        role = SQL("PUBLIC") if self.role == "public" else Identifier(self.role)
        form = "GRANT {} ON {} {} TO {}" if self.grant else "REVOKE {} ON {} {} FROM {}"
        return SQL(form).format(listed, SQL(self.object.kind), SQL(self.object.written), role)


def reconcile(db: psycopg.Connection[Any], branch: Branch, passwords: Mapping[str, str]) -> Reconciled:
    """Make the roles, and the rights in one migrated database, what the declaration says.

    ``db`` belongs to a role that may make roles and owns what is there, or to a superuser. All of it is one
    transaction. ``passwords`` are by role. Raises psycopg.errors.InsufficientPrivilege when the role may not.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        created = tuple(_make_roles(db))
        quiet = _quieten(db)
        for name, password in passwords.items():
            _set_password(db, name, password)
        owned = _own(db, branch)
        found, desired = set(actual(db, branch, NAMES)), set(wanted(db, branch))
        for change in (*_changes(found - desired, grant=False), *_changes(desired - found, grant=True)):
            db.execute(change.statement())
        if set(actual(db, branch, NAMES)) != desired:  # the server only warns of rights that are not ours to give
            raise psycopg.errors.InsufficientPrivilege("our role may not grant and revoke all that it should")
    return Reconciled(branch, created, len(desired - found), len(found - desired), owned, quiet)


def _make_roles(db: psycopg.Connection[Any]) -> Iterator[str]:
    """Roles that may log in once they have a password, which is for operators to give; none may do more than that."""
    plain = dict(db.execute(_ATTRIBUTES, (list(NAMES),)).fetchall())
    for name in NAMES:
        if name not in plain:
            db.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
            yield name
        elif not plain[name]:
            attributes = "LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"
            db.execute(SQL("ALTER ROLE {} {}").format(Identifier(name), SQL(attributes)))
    for member, of in db.execute(_MEMBERSHIPS, (list(NAMES),)).fetchall():
        db.execute(SQL("REVOKE {} FROM {}").format(SQL(of), SQL(member)))


def _quieten(db: psycopg.Connection[Any]) -> bool:
    """Keep the roles' statements out of the server's log, if we may."""
    row = db.execute("SELECT bool_and(has_parameter_privilege(name, 'SET')) FROM unnest(%s::text[]) name",
                     (list(_QUIET),)).fetchone()  # fmt: skip
    if not (row and row[0]):
        return False
    for name in NAMES:
        for variable, value in _QUIET.items():
            db.execute(SQL("ALTER ROLE {} SET {} = {}").format(Identifier(name), SQL(variable), value))
    return True


def _set_password(db: psycopg.Connection[Any], name: str, password: str) -> None:
    """Set a role's password; the server, and so its log, gets a hash of it."""
    hashed = db.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    db.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(name), hashed))


def _own(db: psycopg.Connection[Any], branch: Branch) -> int:
    """Give the schema and all that is in it to the owner's role; how many objects had another owner."""
    database = db.info.dbname
    for name in NAMES:
        db.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(Identifier(database), Identifier(name)))
    db.execute(SQL("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}").format(Identifier(database), Identifier(OWNER)))
    others = [one for one in objects(db, branch) if one.owner != OWNER]
    for one in sorted(others, key=lambda one: one.kind != "SCHEMA"):
        db.execute(SQL("ALTER {} {} OWNER TO {}").format(SQL(one.altered), SQL(one.written), Identifier(OWNER)))
    return len(others)


def _changes(grants: set[Grant], *, grant: bool) -> Iterator[_Change]:
    """One statement for each role and object."""
    together: dict[tuple[str, Object], list[tuple[str, str | None]]] = {}
    for one in sorted(grants, key=str):
        together.setdefault((one.role, one.object), []).append((one.privilege, one.column))
    for (role, thing), privileges in together.items():
        yield _Change(grant, role, thing, tuple(privileges))
