"""The journal of erasures: keyed hashes of who was erased, up to which position, in each database and in a file.

A database that is restored from a backup lacks the erasures that came after it, and the others still have them: so they
are found out, and applied again. The file in the data folder is for the case that all databases are restored together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from fundlyhub.database.audited import named, reasoned
from fundlyhub.private_files import appending

FILE = "erasures.jsonl"
"""Its name in the data folder."""
_LIST = "SELECT id, hashes, up_to, finished_at IS NOT NULL FROM {schema}.erasures ORDER BY id"
_OPEN = """
    SELECT id, hashes, up_to, false FROM events.erasures WHERE finished_at IS NULL AND hashes && %s
    ORDER BY begun_at LIMIT 1
"""
_BEGIN = "INSERT INTO events.erasures (id, hashes, who, reason) VALUES (%s, %s, %s, %s)"
_SAVE = """
    INSERT INTO events.erasures (id, hashes, up_to, who, reason)
    VALUES (%(id)s, %(hashes)s, %(up_to)s, %(who)s, %(who)s)
    ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes, up_to = excluded.up_to
"""
_APPLIED = """
    INSERT INTO {schema}.erasures (id, hashes, up_to) VALUES (%(id)s, %(hashes)s, %(up_to)s)
    ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes, up_to = excluded.up_to
"""
_FINISH = "UPDATE events.erasures SET finished_at = clock_timestamp() WHERE id = %s"
AGAIN = "an erasure that is applied again"


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure: hashes of the person's ids, addresses and things, and the last position that it covers."""

    id: UUID
    hashes: frozenset[str]
    up_to: int
    finished: bool


def begin(db: psycopg.Connection[Any], hashes: Iterable[str], *, who: str, reason: str) -> Erasure:
    """The erasure of this person that was begun and not finished, or a new one. Raises WrongUse without a reason."""
    who, reason, given = named(who), reasoned(reason), sorted(hashes)
    if row := db.execute(_OPEN, (given,)).fetchone():
        return Erasure(row[0], frozenset((*row[1], *given)), row[2], row[3])
    new = Erasure(uuid4(), frozenset(given), 0, False)
    db.execute(_BEGIN, (new.id, given, who, reason))
    return new


def save(db: psycopg.Connection[Any], erasure: Erasure, hashes: Iterable[str], up_to: int) -> Erasure:
    """Note what is known of the person by now, and how far the erasure goes."""
    new = replace(erasure, hashes=frozenset(hashes), up_to=up_to)
    db.execute(_SAVE, {**_given(new), "who": AGAIN})
    return new


def finish(databases: Mapping[str, psycopg.Connection[Any]], erasure: Erasure, data_dir: Path) -> None:
    """Note everywhere that it is done, in the Events DB last."""
    _append(data_dir / FILE, erasure)
    for schema, db in databases.items():
        if schema != "events":
            db.execute(_APPLIED.format(schema=schema), _given(erasure))
    databases["events"].execute(_FINISH, (erasure.id,))


def everything(databases: Mapping[str, psycopg.Connection[Any]], data_dir: Path) -> list[tuple[Erasure, list[str]]]:
    """All erasures that a database or the file knows, each with the databases that lack it."""
    known = {schema: {one.id: one for one in _listed(db, schema)} for schema, db in databases.items()}
    found = {one.id: one for one in _of_file(data_dir / FILE)}
    for some in reversed(known.values()):
        found.update(some)
    return [
        (erasure, [schema for schema, some in known.items() if id not in some or not some[id].finished])
        for id, erasure in sorted(found.items())
    ]


def lacking(databases: Mapping[str, psycopg.Connection[Any]], data_dir: Path) -> list[tuple[Erasure, list[str]]]:
    """The erasures that are not applied everywhere, each with the databases that lack it."""
    return [(one, missing) for one, missing in everything(databases, data_dir) if missing]


def _listed(db: psycopg.Connection[Any], schema: str) -> Iterator[Erasure]:
    for id, hashes, up_to, finished in db.execute(_LIST.format(schema=schema)):
        yield Erasure(id, frozenset(hashes), up_to, finished)


def _given(erasure: Erasure) -> dict[str, Any]:
    return {"id": erasure.id, "hashes": sorted(erasure.hashes), "up_to": erasure.up_to}


def _append(path: Path, erasure: Erasure) -> None:
    if any(one.id == erasure.id and one.up_to == erasure.up_to for one in _of_file(path)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"id": str(erasure.id), "hashes": sorted(erasure.hashes), "upTo": erasure.up_to})
    with appending(path) as file:
        file.write(f"\n{line}\n".encode())  # a killed process may have left the beginning of a line
        file.flush()
        os.fsync(file.fileno())


def _of_file(path: Path) -> Iterator[Erasure]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            one = json.loads(line)
            yield Erasure(UUID(one["id"]), frozenset(one["hashes"]), int(one["upTo"]), True)
        except (ValueError, KeyError, TypeError):  # the end of a line that a killed process did not finish
            continue
