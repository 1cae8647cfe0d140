"""Rows about a person that follow from no event, or that hold an address as a keyed hash: found, and taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text as sql

from fundlyhub.database import get_engine
from fundlyhub.people.others import METADATA, declared
from fundlyhub.people.person import Person
from fundlyhub.people.written import readings
from fundlyhub.processors.writes.recipients.erasing import erase_contacts
from fundlyhub.streams.quarantine_model import AUDIT
from fundlyhub.streams.raw import from_json

WHO = "erasure"
_KNOWN = "SELECT user_id FROM contacts UNION SELECT user_id FROM devices UNION SELECT user_id FROM preferences"
_LEDGER = """
    UPDATE notifications
    SET ceiling_key = NULL, recipient = CASE WHEN user_id IS NULL THEN 'erased:' || id ELSE recipient END
    WHERE user_id IS NULL AND recipient = ANY (%(hashes)s::text[])
       OR user_id = ANY (%(ids)s::uuid[]) AND ceiling_key IS NOT NULL
"""
_SAID = """
    UPDATE suppression_causes SET said = ''
    WHERE said <> '' AND (address_hash = ANY (%(hashes)s::text[]) OR user_id = ANY (%(ids)s::uuid[]))
"""
_REPORTS = """
    DELETE FROM delivery_reports WHERE failed_at IS NOT NULL AND EXISTS (
        SELECT FROM unnest(%(hashes)s::text[]) AS given(hash) WHERE strpos(words::text, given.hash) > 0)
"""
_ENTRIES = "SELECT id, fields, state FROM events.quarantine WHERE fields <> '[]' AND id > %s ORDER BY id LIMIT 200"
_EMPTY_ENTRY = """
    UPDATE events.quarantine SET fields = '[]', changed_at = clock_timestamp(),
        state = CASE WHEN state = 'open' THEN 'discarded' ELSE state END
    WHERE id = %(id)s
"""


def contacts_of(person: Person) -> set[UUID]:
    """The ids of the person that the tables of contacts know; it reads these tables whole."""
    with get_engine("app").connect() as db:
        rows = db.execution_options(stream_results=True).exec_driver_sql(_KNOWN)
        return {id for (id,) in rows if person.is_id(str(id))}


def erase(events: psycopg.Connection[Any], person: Person) -> Counter[str]:
    """Take away contacts and what belongs to them, hashed addresses, entries of the quarantine; how many rows."""
    done: Counter[str] = Counter()
    hashes, ids = sorted(person.hashes), sorted(person.ids)
    with get_engine("app").begin() as db:
        if ids:
            erase_contacts(db, ids)
        given = {"hashes": hashes, "ids": ids}
        for table, statement in (
            ("notifications", _LEDGER),
            ("suppression_causes", _SAID),
            ("delivery_reports", _REPORTS),
        ):
            done[table] += db.exec_driver_sql(statement, given).rowcount
    _others(person)
    for id, _ in entries(events, person):
        with get_engine("events").begin() as connection:
            connection.exec_driver_sql(_EMPTY_ENTRY, {"id": id})
            AUDIT.note(connection, id, who=WHO, action="discarded", details="a person was erased")
        done["quarantine"] += 1
    return done


def entries(events: psycopg.Connection[Any], person: Person) -> Iterator[tuple[int, list[str]]]:
    """The entries of the quarantine in which an id or an address of the person stands, with their texts."""
    after = 0
    while rows := events.execute(_ENTRIES, (after,)).fetchall():
        for id, fields, _ in rows:
            values = [value.decode("utf-8", "replace") for _, value in from_json(fields)]
            if any(mentions(value, person) for value in values):
                yield id, values
        after = rows[-1][0]


def mentions(value: str, person: Person) -> bool:
    """Whether an id or an address of the person stands in a text from outside."""
    return any(person.is_in(text) for text in readings(value))


def _others(person: Person) -> None:
    """Empty the columns of other packages' tables that say whose they are; a row that may not be empty is deleted."""
    tables = {(branch, name): table for branch, metadata in METADATA for name, table in metadata.tables.items()}
    for one in declared():
        if one.what is None or one.whose is None or not person.ids:
            continue
        table = tables[one.branch, one.table]
        theirs = table.c[one.whose].in_(sorted(person.ids))
        with get_engine(one.branch).begin() as db:
            if not db.execute(sql("SELECT to_regclass(:name)"), {"name": one.table}).scalar():
                continue
            if one.nullable:
                db.execute(table.update().where(theirs).values({one.column: None}))
            else:
                db.execute(table.delete().where(theirs))
