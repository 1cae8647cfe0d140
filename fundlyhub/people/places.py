"""Every place that holds data about people: fields of events, columns of tables, and what lies outside of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fundlyhub.events.catalogue import PAYLOADS
from fundlyhub.events.personal import Personal, classified
from fundlyhub.people.columns import DELETED, EMPTIED, TABLES, Columns
from fundlyhub.people.others import declared

LOG = "events.events"


class Place(NamedTuple):
    """A place: a table or what else it is, the column or field in it, what it says, whose it is, how it is erased."""

    where: str
    field: str
    what: str
    whose: str
    erased: str


ELSEWHERE = (
    Place("archives", "payload, metadata", "as the log", "as the log", "the file is written anew"),
    Place("Redis, streams `events:…`", "payload", "chosen fields of events", "as the log", "the entry is deleted"),
    Place("Redis, streams of the ingest", "any", "as the log", "as the log", "stays: it becomes an event"),
    Place("Elasticsearch", "documents", "as the search projections", "user_id", "sent anew, or deleted"),
    Place("outbox folder", "files", "messages as they were sent", "their address", "the file is deleted"),
    Place("the servers' files and logs", "any", "former versions of rows", "-", "VACUUM; see `people erase --check`"),
    Place("backups", "any", "all of the above", "-", "stays; the journal of erasures is applied after a restoration"),
    Place("mail, push and text providers", "any", "messages and addresses", "-", "stays: ask the provider"),
)
"""What no table holds."""

NOTHING = "broker messages (positions only), logs, dead letters and metrics hold no data about people"


def places(tables: Mapping[str, Mapping[str, Columns]] = TABLES) -> Iterator[Place]:
    """All places, as the payload classes and the tables say."""
    for (kind, version), payload in sorted(PAYLOADS.items()):
        for field in classified(payload):
            if isinstance(field.mark, Personal):
                whose = " or ".join(field.whose) or "the address itself"
                yield Place(LOG, f"{kind} {version}: {field.shown}", field.mark.what, whose, "overwritten")
            elif field.mark is None:
                yield Place(
                    LOG, f"{kind} {version}: {field.shown}", "not classified", "-", "stays: mark it in its class"
                )
    yield Place(LOG, "types without a class", "not classified", "any id or address in it", "texts are overwritten")
    for schema, some in tables.items():
        for table, columns in some.items():
            whose = ", ".join(columns.ids.split()) or "-"
            for column, (what, erased) in columns.personal.items():
                yield Place(f"{schema}.{table}", column, what, whose, erased)
            for column in columns.ids.split():
                yield Place(f"{schema}.{table}", column, "id", column, "stays: a number that names nobody by itself")
    yield from _of_others()
    yield from ELSEWHERE


def _of_others() -> Iterator[Place]:
    for one in declared():
        if one.what is None:
            erased = "stays: mark it where it is declared"
        elif one.whose is None:
            erased = "stays: nothing says whose it is"
        else:
            erased = EMPTIED if one.nullable else DELETED
        yield Place(f"{one.branch}.{one.table}", one.column, one.what or "not classified", one.whose or "-", erased)


def markdown() -> str:
    """The page of all places."""
    rows = ("".join(f"| {cell} " for cell in _cells(place)) + "|" for place in places())
    return "\n".join([_HEAD, *rows, "", f"{NOTHING[0].upper()}{NOTHING[1:]}.", ""])


def _cells(place: Place) -> Iterator[str]:
    names = place.where in (LOG, *(f"{schema}.{table}" for schema, some in TABLES.items() for table in some))
    yield f"`{place.where}`" if names else place.where
    yield f"`{place.field}`" if names else place.field
    yield from place[2:]


def document() -> list[dict[str, Any]]:
    """The places for programs."""
    return [place._asdict() for place in places()]


_HEAD = """\
# Where data about people is

This page is generated from the payload classes and the tables: do not edit it. [people.md](people.md) says how a
person's data is shown and erased. Ids stay, since numbers hang on them.

| where | column or field | what it says | whose it is | when a person is erased |
|---|---|---|---|---|"""
