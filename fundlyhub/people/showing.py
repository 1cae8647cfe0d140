"""Collects what is held about a person (Art. 15 GDPR): rows by table, and the events that are about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from fundlyhub.events.log import head
from fundlyhub.people import archives, belongings, log
from fundlyhub.people.columns import TABLES, Columns
from fundlyhub.people.erasing import Databases, Tell, databases
from fundlyhub.people.log import Found, parsed
from fundlyhub.people.person import Person
from fundlyhub.settings import Settings

_BY_HASH = {"notifications": "recipient", "suppressions": "address_hash", "suppression_causes": "address_hash"}
_BY_EMAIL = {"gift_donors": "email"}
_LEFT_OUT = frozenset({"events", "corrections", "erasures", "dead_letters"})
"""Tables whose rows are shown as events, or name nobody."""

Held = dict[str, Any]
"""``tables``: rows by table; ``events`` and ``archived``: events; ``quarantine``: texts of entries."""


def show(settings: Settings, person: Person, tell: Tell = lambda what, done, total: None) -> Held:
    """Everything that is held about a person, as JSON values."""
    with databases(settings) as dbs:
        events = list(_events(dbs, person, tell))
        return {
            "tables": dict(_tables(dbs, person)),
            "events": events,
            "archived": [
                {**_event(one), "file": str(path)}
                for path, found in archives.look(dbs["events"], person)
                for one in found
            ],
            "quarantine": [values for _, values in belongings.entries(dbs["events"], person)],
        }


def _events(dbs: Databases, person: Person, tell: Tell) -> Iterator[dict[str, Any]]:
    db = dbs["events"]
    until = head(db)
    for page in log.pages(db, 0, until):
        for one in log.about(page, person):
            for thing in one.redacted.things:
                person.add_thing(thing)
            yield _event(one)
        tell("looking", page[-1].position, until)


def _event(one: Found) -> dict[str, Any]:
    row = one.row
    return {
        "position": row.position, "id": str(row.id), "type": row.type, "version": row.version,
        "occurred_at": row.occurred_at, "payload": parsed(row.payload), "metadata": parsed(row.metadata),
    }  # fmt: skip


def _tables(dbs: Databases, person: Person) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for schema, tables in TABLES.items():
        with dbs[schema].cursor(row_factory=dict_row) as cursor:
            for table, columns in tables.items():
                if table in _LEFT_OUT or not (condition := _theirs(table, columns)):
                    continue
                given = {
                    "ids": [str(id) for id in sorted(person.ids)],
                    "hashes": sorted(person.hashes),
                    "addresses": sorted(address.lower() for address in person.addresses),
                }
                query = sql.SQL("SELECT * FROM {} WHERE {}").format(sql.Identifier(schema, table), condition)
                if rows := cursor.execute(query, given).fetchall():
                    yield f"{schema}.{table}", rows


def _theirs(table: str, columns: Columns) -> sql.Composable | None:
    parts: list[sql.Composable] = [
        sql.SQL("{}::text = ANY (%(ids)s)").format(sql.Identifier(column)) for column in columns.ids.split()
    ]
    if table in _BY_HASH:
        parts.append(sql.SQL("{} = ANY (%(hashes)s)").format(sql.Identifier(_BY_HASH[table])))
    if table in _BY_EMAIL:
        parts.append(sql.SQL("lower({}) = ANY (%(addresses)s)").format(sql.Identifier(_BY_EMAIL[table])))
    return sql.SQL(" OR ").join(parts) if parts else None
