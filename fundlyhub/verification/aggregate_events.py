"""Finds the events of one aggregate: those whose payload has its id anywhere, and those that are linked to them.

What is found may be more than its rows follow from, and is never less: only its rows are looked at afterwards. Payloads
that operators have corrected count as well as those of the log.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from fundlyhub.database import connect
from fundlyhub.events.log import LONGEST_TYPE
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.settings import Settings

PAGE = 5_000
"""Rows of the log that are read at once."""

# An id may be written in capitals, without dashes, in braces, or as a URN.
_LINK = "right(translate(lower(left(payload ->> %(link)s, 60)), '{}-', ''), 32)"
_NAMED = "replace(lower(payload::text), '-', '') LIKE %(digits)s"
_EVENTS = f"""
    SELECT position, left(type, {LONGEST_TYPE}), {_LINK}, {_NAMED} FROM events.events WHERE {{where}}
    UNION ALL
    SELECT position, NULL, {_LINK}, {_NAMED} FROM events.corrections WHERE processor = %(processor)s AND {{where}}
"""  # noqa: S608 - put together from constants
_NAMING = _EVENTS.replace("{where}", _NAMED)
_LINKED = _EVENTS.replace("{where}", "payload ->> %(link)s IS NOT NULL")
_AT = _EVENTS.replace("{where}", "position = ANY (%(positions)s::bigint[])")


class _Row(NamedTuple):
    position: int
    type: str | None
    """None for a corrected payload."""
    link: str | None
    named: bool


class AggregateEvents:
    """The positions of an aggregate's events, and the ids that link further events to it."""

    def __init__(self, settings: Settings, processor: type[Processor], id: UUID) -> None:
        rows = processor.aggregate_rows
        self.positions: set[int] = set()
        self.linked: set[str] = set()
        self._others = array("q")
        """Hashes of the ids that link other events together, 8 bytes each."""
        self._id = id
        self._settings, self._wants, self._links = settings, wanting(processor), bool(rows and rows.linked_by)
        self._given = {
            "processor": processor.name, "digits": f"%{id.hex}%", "link": rows.linked_by if rows else None,
        }  # fmt: skip

    @property
    def rows(self) -> dict[str, Any]:
        """The parameters of the conditions on its rows."""
        return {"id": self._id, "linked": [UUID(one) for one in self.linked if _is_id(one)]}

    def find(self) -> None:
        """Look through the whole log: once for events that name the aggregate, once for those that are linked.

        Both see the same events, so that none can link others after these were passed over.
        """
        with connect("events", settings=self._settings) as log:
            log.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            log.execute("SET LOCAL statement_timeout = 0")
            log.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            self._take(row for row in self._read(log, _NAMING) if row.named)
            if self._links:
                self._others = array("q")
                self._take(self._read(log, _LINKED))
                self._others = array("q", sorted(self._others))

    def late(self, log: psycopg.Connection[Any], positions: Sequence[int]) -> list[int] | None:
        """Those of these positions that are its events; None where earlier events are linked to it by one of them.

        Then it has to ``find`` them.
        """
        rows = [_Row(*row) for row in log.execute(_AT, {**self._given, "positions": list(positions)})]
        new = {row.link for row in rows if row.named and row.link} - self.linked
        if any(self._links_others(link) for link in new):
            return None
        before = set(self.positions)
        self._take(sorted(rows, key=lambda row: not row.named))  # those that link others come first
        self._others = array("q", sorted(self._others))
        return sorted(self.positions & set(positions) | (self.positions - before))

    def _take(self, rows: Iterable[_Row]) -> None:
        for row in rows:
            if row.named:
                self.positions.add(row.position)
                if row.link:
                    self.linked.add(row.link)
            elif row.link in self.linked:
                self.positions.add(row.position)
            elif row.link and (row.type is None or self._wants(row.type)):
                self._others.append(hash(row.link))

    def _links_others(self, link: str) -> bool:
        place = bisect_left(self._others, hash(link))
        return place < len(self._others) and self._others[place] == hash(link)

    def _read(self, log: psycopg.Connection[Any], sql: str) -> Iterator[_Row]:
        with log.cursor(name="aggregate") as cursor:
            cursor.itersize = PAGE
            yield from (_Row(*row) for row in cursor.execute(sql, self._given))


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(one in "0123456789abcdef" for one in text)
