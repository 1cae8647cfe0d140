"""What is there and who may do what with it, by the server's catalog; and what should be, by the declaration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg

from fundlyhub.database.packages import version_table
from fundlyhub.database.roles.declared import (
    OTHERS,
    PREFIX,
    RIGHTS,
    Role,
    declared,
    of_packages,
    of_version_table,
)
from fundlyhub.database.roles.shared import MAINTAIN
from fundlyhub.settings import Branch

# Sequences of identity columns belong to their tables. What an extension has made is for everybody, as it came.
_OBJECTS = """
    SELECT 'SCHEMA' AS kind, nspname::text AS name, quote_ident(nspname) AS written, nspowner::regrole::text AS owner,
           nspname::text AS altered
    FROM pg_namespace WHERE nspname = %(schema)s
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname || '.' || c.relname,
           format('%%I.%%I', n.nspname, c.relname), c.relowner::regrole::text, c.relkind::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                      AND d.deptype IN ('i', 'a', 'e') AND (c.relkind = 'S' OR d.deptype = 'e'))
    UNION ALL
    SELECT 'FUNCTION', n.nspname || '.' || p.proname, p.oid::regprocedure::text, p.proowner::regrole::text, 'f'
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = %(schema)s
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass
                      AND d.deptype = 'e')
"""
_GRANTS = """
    WITH acl AS (
        SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS written, NULL::text AS attribute, nspowner AS owner,
               nspacl AS acl
        FROM pg_namespace WHERE nspname = %(schema)s
        UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%%I.%%I', n.nspname, c.relname),
               NULL, c.relowner, c.relacl
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT 'TABLE', format('%%I.%%I', n.nspname, c.relname), a.attname, c.relowner, a.attacl
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s AND NOT a.attisdropped AND a.attacl IS NOT NULL
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text, NULL, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %(schema)s
    )
    SELECT acl.kind, acl.written, acl.attribute,
           CASE WHEN one.grantee = 0 THEN 'public' ELSE one.grantee::regrole::text END, one.privilege_type
    FROM acl CROSS JOIN aclexplode(acl.acl) one
    WHERE one.grantee <> acl.owner AND (one.grantee = 0 OR one.grantee::regrole::text = ANY (%(roles)s))
"""
_KINDS = {"r": "TABLE", "p": "TABLE", "f": "FUNCTION", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE"}
_PARTITION = re.compile(r"\.processed_events_\d+$")
_RIGHT = re.compile(r"\s*(?P<privilege>[A-Z]+)\s*(?:\((?P<columns>[^)]*)\))?\s*(?:,|$)")


class Object(NamedTuple):
    """A schema, table, sequence or function; ``written`` as SQL writes it."""

    kind: str
    name: str
    written: str
    owner: str = ""
    altered: str = ""


class Grant(NamedTuple):
    """One privilege of a role on an object, or on one of its columns."""

    role: str
    object: Object
    privilege: str
    column: str | None


def objects(db: psycopg.Connection[Any], branch: Branch) -> list[Object]:
    """All that is in a schema, and the schema itself."""
    return [
        Object(kind, name, written, owner, "SCHEMA" if kind == "SCHEMA" else _KINDS[relkind])
        for kind, name, written, owner, relkind in db.execute(_OBJECTS, {"schema": branch}).fetchall()
    ]


def actual(db: psycopg.Connection[Any], branch: Branch, roles: Sequence[str]) -> Iterator[Grant]:
    """What these roles and PUBLIC are granted in a schema."""
    known = {(one.kind, one.written): _plain(one) for one in objects(db, branch)}
    for kind, written, column, role, privilege in db.execute(_GRANTS, {"schema": branch, "roles": list(roles)}):
        if (kind, written) in known:  # the others are extensions' own
            yield Grant(role, known[kind, written], privilege, column)


def wanted(db: psycopg.Connection[Any], branch: Branch) -> Iterator[Grant]:
    """What the declaration grants in a schema. A table that another package has made is the workers'."""
    theirs = of_packages()
    for one in map(_plain, objects(db, branch)):
        for role, rights in RIGHTS.items():
            if one.kind == "SCHEMA":
                named = (*rights, *theirs[role])
                right = "USAGE" if any(name.startswith(f"{branch}.") for name in named) else ""
            else:
                right = rights.get(one.name) or theirs[role].get(one.name) or _of_others(one, role, branch)
            for privilege, column in parsed(right):
                if privilege == MAINTAIN and db.info.server_version < 170_000:
                    continue  # only an owner may vacuum there
                yield Grant(PREFIX + role, one, privilege, column)


def unclassified(db: psycopg.Connection[Any], branch: Branch) -> list[str]:
    """Objects of which the declaration says nothing: another package's, or forgotten."""
    return sorted(
        one.name for one in objects(db, branch)
        if one.kind != "SCHEMA" and one.name not in declared() and not _PARTITION.search(one.name)
    )  # fmt: skip


def parsed(right: str) -> Iterator[tuple[str, str | None]]:
    """The privileges of a line of rights, with the column that each is for, or None.

    >>> list(parsed("SELECT, UPDATE (state, reason)"))
    [('SELECT', None), ('UPDATE', 'state'), ('UPDATE', 'reason')]
    """
    for match in _RIGHT.finditer(right):
        if match["columns"] is None:
            yield match["privilege"], None
            continue
        for column in match["columns"].split(","):
            yield match["privilege"], column.strip()


def _of_others(one: Object, role: Role, branch: Branch) -> str:
    if one.name.startswith(f"{branch}.{version_table('')}"):
        return of_version_table(one.name, role)
    known = one.name in declared() or _PARTITION.search(one.name)
    return "" if known or one.kind != "TABLE" or branch == "events" else OTHERS.get(role, "")


def _plain(one: Object) -> Object:
    """The object without what changes with its owner."""
    return one._replace(owner="", altered="")
