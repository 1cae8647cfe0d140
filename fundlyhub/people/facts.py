"""Tells the log which keys of events are facts, for the role that erases people: its functions leave them alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from fundlyhub.events.catalogue import CURRENT, PAYLOADS
from fundlyhub.events.catalogue.index import ALIASES
from fundlyhub.events.packages import load
from fundlyhub.events.personal import facts

_ADD = "INSERT INTO events.fact_keys (type, version, keys) VALUES (%s, %s, %s)"


def write_down(db: psycopg.Connection[Any]) -> None:
    """Write down the facts of all payload classes that are installed here, in place of those of before.

    ``db`` is an autocommit connection to the Events DB, of the owner or of a superuser.
    """
    load()
    with db.transaction():
        db.execute("LOCK TABLE events.fact_keys IN EXCLUSIVE MODE")
        db.execute("DELETE FROM events.fact_keys")
        with db.cursor() as cursor:
            cursor.executemany(_ADD, sorted(_rows()))


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    names: dict[str, list[str]] = {}
    for alias, kind in ALIASES.items():
        names.setdefault(kind, []).append(alias)
    known = {**PAYLOADS, **{(kind, ""): payload for kind, payload in CURRENT.items()}}
    for (kind, version), payload in known.items():
        for name in (kind, *names.get(kind, ())):
            yield name, version, list(facts(payload))
