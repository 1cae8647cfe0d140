"""Searches everything that we hold for words of a person, and says what remains by law or by choice."""

from __future__ import annotations

import gzip
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from fundlyhub.database.rows import the_value
from fundlyhub.errors import ProcessingError, Unavailable
from fundlyhub.events import StoredEvent
from fundlyhub.events.log import head
from fundlyhub.events.personal import CONTENT as CONTENT_MARK
from fundlyhub.events.personal import ORGANIZATION, classified
from fundlyhub.people import archives, belongings, journal, log, outside
from fundlyhub.people.erasing import Databases, Tell, databases
from fundlyhub.people.log import parsed, text
from fundlyhub.people.person import Person
from fundlyhub.people.redaction import class_of, places_of
from fundlyhub.people.written import QUOTING, Sought, mail_texts
from fundlyhub.processors.projections.search_index.outside import outside_engine
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.settings import Settings

_FIELDS = """
    CASE WHEN kind IN ('campaign', 'organization', 'project_update') AND field NOT LIKE 'beneficiary%%' THEN ''
         ELSE t::text END
"""
CONTENT = {
    "app.entities": "CASE WHEN kind = 'user' THEN t::text ELSE '' END",
    "app.entity_fields": _FIELDS,
    "analytics.entity_fields": _FIELDS,
    "analytics.campaign_search_projection": "beneficiary_name",
    "analytics.organization_search_projection": "''",
}
"""What is searched of tables that hold published content too, which stays."""
REMAINS = (
    "published content of campaigns and organizations, until these are deleted",
    "keyed hashes of suppressed addresses, and of the erased, in the journal of erasures",
    "backups, standby servers and write-ahead logs, until they expire",
    "free space in the servers' files, until it is written again (VACUUM FULL writes a table anew)",
    "what providers of mail, push and text messages hold: ask them",
)
"""What an erasure leaves, by law or by choice."""

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = ANY (%s) ORDER BY 1, 2
"""
_FULL = {
    "app.contacts": "(name, email, phone) IS DISTINCT FROM (NULL, NULL, NULL) AND user_id = ANY (%(ids)s)",
    "app.devices": "user_id = ANY (%(ids)s)",
    "app.preferences": "user_id = ANY (%(ids)s)",
    "app.notifications": "recipient = ANY (%(hashes)s) OR user_id = ANY (%(ids)s) AND ceiling_key IS NOT NULL",
    "app.suppression_causes": "said <> '' AND (address_hash = ANY (%(hashes)s) OR user_id = ANY (%(ids)s))",
    "app.entities": "kind = 'user' AND name IS NOT NULL AND id = ANY (%(ids)s)",
    "analytics.user_search_projection": "user_id = ANY (%(ids)s)",
}
"""Rows that an erasure leaves nothing of, beside those that the person's events tell of."""


class Left(NamedTuple):
    """Something of the person that is still there: where, and how much of it."""

    where: str
    number: int


def check(
    settings: Settings, person: Person, values: Iterable[str], tell: Tell = lambda what, done, total: None
) -> list[Left]:
    """What is left of a person. ``values`` are words of theirs to look for everywhere, such as a name or an address.

    It reads everything: the log, the archives, each table of ours and of other packages, streams, messages and files.
    """
    wanted = Sought((*values, *person.addresses))
    with databases(settings) as dbs:
        for erasure, _ in journal.everything(dbs, settings.data_dir):
            if erasure.hashes & person.hashes:
                person.hashes.update(erasure.hashes)
        found = [*_in_log(dbs, person, wanted, tell), *_in_archives(dbs, person, tell), *_in_rows(dbs, person)]
        found += _in_tables(dbs, wanted, tell)
        found += _beside(settings, dbs, person, wanted, tell)
    most: dict[str, int] = {}
    for one in found:  # a table is looked at by whose it is, and by the words
        most[one.where] = max(one.number, most.get(one.where, 0))
    return [Left(where, number) for where, number in most.items() if number]


def _in_log(dbs: Databases, person: Person, wanted: Sought, tell: Tell) -> Iterator[Left]:
    db, words = dbs["events"], 0
    until = head(db)
    for page in log.pages(db, 0, until):
        theirs = {one.row.position for one in log.about(page, person) if one.redacted.changed}
        theirs |= {row.position for row in page if wanted.stand_in(_without_content(row))}
        words += len(theirs)
        tell("looking at the log", page[-1].position, until)
    yield Left("events.events", words)
    yield Left("events.quarantine", sum(1 for _ in belongings.entries(db, person)))


def _without_content(row: StoredEvent) -> str:
    """What an event says, without published content."""
    payload, (cls, _) = parsed(row.payload), class_of(row.type, row.version)
    if payload is None:
        return row.payload or ""
    for field in classified(cls) if cls is not None else ():
        if field.mark in (CONTENT_MARK, ORGANIZATION):
            for place in places_of(field, payload):
                del place.holder[place.key]
    return f"{text(payload)} {row.metadata}"


def _in_archives(dbs: Databases, person: Person, tell: Tell) -> Iterator[Left]:
    for path, found in archives.look(dbs["events"], person):
        tell(f"looking at {path.name}", 0, 0)
        yield Left(f"archive {path}", sum(one.redacted.changed for one in found))
    for path in archives.away(dbs["events"]):
        yield Left(f"archive {path}, which is not there as it was written", 1)


def _in_rows(dbs: Databases, person: Person) -> Iterator[Left]:
    given = {"ids": sorted(person.ids), "hashes": sorted(person.hashes)}
    for table, condition in _FULL.items():
        db = dbs[table.partition(".")[0]]
        query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608  # ours
        yield Left(table, int(the_value(db.execute(query, given))))


def _in_tables(dbs: Databases, wanted: Sought, tell: Tell) -> Iterator[Left]:
    """Each table, with partitions and those of other packages, as one text a row."""
    if not wanted:
        return
    for schema, db in dbs.items():
        for _, table in db.execute(_TABLES, ([schema],)).fetchall():
            tell(f"looking at {schema}.{table}", 0, 0)
            if (schema, table) != ("events", "events"):  # the log was read
                yield Left(f"{schema}.{table}", _rows(db, schema, table, wanted))


def _rows(db: psycopg.Connection[Any], schema: str, table: str, wanted: Sought) -> int:
    searched = sql.SQL(CONTENT.get(f"{schema}.{table}", "t::text"))
    query = sql.SQL(
        "SELECT count(*) FROM {} t WHERE EXISTS (SELECT FROM unnest(%s::text[]) AS given(value)"
        " WHERE strpos(lower(translate({}, %s, '')), lower(given.value)) > 0)"
    ).format(sql.Identifier(schema, table), searched)
    db.execute("SET statement_timeout = 0")
    return int(the_value(db.execute(query, (wanted.forms, QUOTING))))


def _beside(settings: Settings, dbs: Databases, person: Person, wanted: Sought, tell: Tell) -> Iterator[Left]:
    tell("looking at streams and files", 0, 0)
    if outside.mirrors(settings):
        with outside.streams(settings) as client:
            for stream, ids in outside.mirrored(client, person):
                yield Left(f"Redis, stream {stream.decode('utf-8', 'replace')}", len(ids))
    yield Left("outbox folder", sum(1 for _ in outside.messages(settings.data_dir, person)))
    if wanted:
        for path in _files(settings.data_dir):
            yield Left(f"file {path}", int(_stands_in(path, wanted)))
    yield from _in_search_engine(dbs["analytics"], person, wanted)


def _in_search_engine(db: psycopg.Connection[Any], person: Person, wanted: Sought) -> Iterator[Left]:
    """Documents with words that our own table of documents does not have, or no more: those are looked at as a table.

    Users' documents are looked at by whose they are, too.
    """
    if (engine := outside_engine()) is None:
        return
    for kind, shape in SHAPES.items():
        try:
            texts = engine.holding(kind, sorted(person.ids), wanted.forms)
        except ProcessingError as error:
            raise Unavailable(f"the search engine cannot be looked at ({error}): run it again") from None
        query = sql.SQL("SELECT {key}, t::text FROM {table} t WHERE {key} = ANY (%s)").format(
            key=sql.Identifier(shape.key), table=sql.Identifier("analytics", shape.table)
        )
        ours: dict[UUID, str] = dict(db.execute(query, (list(texts),)).fetchall())
        left = 0
        for id, words in texts.items():
            stale = wanted.stand_in(words) and not wanted.stand_in(ours.get(id, ""))
            left += stale or (kind == "user" and id in person.ids and bool(words))
        yield Left(f"Elasticsearch, documents of the kind {kind}", left)
    behind = "SELECT count(*) FROM analytics.search_documents WHERE version <> sent_version AND id = ANY (%s)"
    if row := db.execute(behind, (sorted(person.ids),)).fetchone():
        yield Left("Elasticsearch, which has not got the last version", int(row[0]))


def _files(folder: Path) -> Iterator[Path]:
    """The files of the data folder, without those of the database server: see what remains."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not path.is_symlink() and "postgres" not in inside[:2]:
            yield path


def _stands_in(path: Path, wanted: Sought) -> bool:
    """Whether one of these words stands in a file; it is read in pieces."""
    decoder, before = getincrementaldecoder("utf-8")("replace"), ""
    try:
        if ".eml" in path.suffixes and any(map(wanted.stand_in, mail_texts(path.read_bytes()))):
            return True
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while piece := file.read(1 << 20):
                text = before + decoder.decode(piece)
                if wanted.stand_in(text):
                    return True
                before = text[-4 * wanted.longest :]  # quotation marks and backslashes do not count
    except (OSError, EOFError, zlib.error):
        return False
    return False
