"""Brings the outside search engine up to date: sends dirty documents with their version, then notes what it has.

After a crash, documents that were sent and not noted are sent again, and the engine keeps the newer version.
A new index, or one that got lost, is filled from the beginning while the old one answers, then takes its place. When
the documents themselves are rebuilt, their versions begin anew, so they go into an index of the next generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.elasticsearch import SearchEngine, TooLarge, Versioned, Written
from fundlyhub.database import get_engine
from fundlyhub.database.arrays import Columns
from fundlyhub.errors import ProcessingError
from fundlyhub.processing import paused_meanwhile
from fundlyhub.processors.projections.search_index.shapes import SHAPES, Shape

log = getLogger(__name__)

NOWHERE = UUID(int=0)
"""Before all documents."""
PAGE = 200
"""Documents in one bulk; with their stories some megabytes at most in practice."""

# The lock ends with its transaction, which does nothing else: it holds no row and no snapshot while the engine is
# called. A lock of the session would be lost, or left behind, by a pooler in transaction mode.
_LOCK = """
    SELECT pg_try_advisory_xact_lock(hashtext('fundlyhub search flusher')),
           set_config('idle_in_transaction_session_timeout', '0', true)
"""

_BEHIND = """
    SELECT EXISTS (SELECT FROM search_documents WHERE version > sent_version)
        OR (SELECT count(*) FROM search_indices WHERE live) < %(kinds)s
"""

_DIRTY = """
    SELECT id, version, CASE WHEN digest IS NOT NULL THEN jsonb_build_object(
               'title', {A}, 'lead', {B}, 'body', {C}, 'place', {D}, 'categories', {categories}, 'status', {status},
               'created_at', created_at, 'popularity', found.popularity) END
    FROM search_documents AS document LEFT JOIN {table} AS found ON found.{key} = document.id
    WHERE document.kind = %(kind)s AND version > sent_version AND document.id > %(after)s
    ORDER BY document.id LIMIT %(page)s
"""

# Another worker may have noted a newer version.
_DOCUMENTS = Columns(id="uuid", version="bigint", refused="text")
_SENT = f"""
    UPDATE search_documents AS document
    SET sent_version = greatest(sent_version, given.version), refused = given.refused
    FROM {_DOCUMENTS.given} WHERE document.kind = %(kind)s AND document.id = given.id
"""  # noqa: S608 - put together from constants

_KNOWN = "SELECT name, live, generation FROM search_indices WHERE kind = %(kind)s"
_FORGET = "UPDATE search_indices SET name = '', live = false WHERE kind = %(kind)s"
_NEXT_GENERATION = "UPDATE analytics.search_indices SET generation = generation + 1, live = false"
_ALL_DIRTY = "UPDATE search_documents SET sent_version = 0 WHERE kind = %(kind)s AND sent_version > 0"
_NOTE = """
    INSERT INTO search_indices (kind, name, live, generation) VALUES (%(kind)s, %(name)s, %(live)s, %(generation)s)
    ON CONFLICT (kind) DO UPDATE SET name = excluded.name, live = excluded.live
    WHERE search_indices.generation = excluded.generation
"""


def is_behind() -> bool:
    """Whether something is to be sent, or an index is not in its place yet."""
    with get_engine("analytics").connect() as db:
        return bool(db.exec_driver_sql(_BEHIND, {"kinds": len(SHAPES)}).scalar_one())


def begin_anew(db: Connection) -> None:
    """Have all documents sent to a new index, in the caller's transaction, which has exchanged them."""
    db.exec_driver_sql(_NEXT_GENERATION)


class Flusher:
    """One at a time over all workers; no row is locked while the engine is called."""

    def __init__(self, engine: SearchEngine, database: Engine | None = None) -> None:
        self._engine = engine
        self._database = database or get_engine("analytics")

    def flush(self) -> None:
        """Send all dirty documents, unless another worker does. Raises the errors of the engine's gateway."""
        while True:
            with self._database.begin() as lock:
                if not lock.exec_driver_sql(_LOCK).scalar_one():
                    return  # the flusher that holds it looks again afterwards, and finds what we have committed
                self._flush_kinds()
            if paused_meanwhile() or not is_behind():
                return

    def _flush_kinds(self) -> None:
        """Each kind in turn, whatever becomes of another; then raise the first error."""
        errors = []
        for shape in SHAPES.values():
            try:
                self._flush_kind(shape)
            except ProcessingError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _flush_kind(self, shape: Shape) -> None:
        """Send a kind's dirty documents once. What is not taken stays dirty, and holds up none of those behind it."""
        (live, generation), after, left = self._prepared(shape.kind), NOWHERE, None
        while documents := self._dirty(shape, after):
            if paused_meanwhile():
                return  # the rest stays dirty
            left = self._send(shape.kind, generation, documents) or left
            after = documents[-1].id
        if left is not None:
            raise left
        if not live:
            self._engine.go_live(shape.kind, generation)
            with self._database.begin() as db:
                self._note(db, shape.kind, generation, live=True)

    def _send(self, kind: str, generation: int, documents: Sequence[Versioned]) -> ProcessingError | None:
        """Send documents, in halves if they are too large together; why some are left, if so."""
        try:
            written = self._engine.write(kind, documents, generation)
        except TooLarge:
            if len(documents) > 1:
                half = len(documents) // 2
                first = self._send(kind, generation, documents[:half])
                return self._send(kind, generation, documents[half:]) or first
            written = Written([], {documents[0].id: "status 413"})
        self._note_sent(kind, documents, written)
        return written.error

    def _prepared(self, kind: str) -> tuple[bool, int]:
        """Make sure that the index is there and noted; whether searches use it, and its generation."""
        with self._database.begin() as db:
            row = db.exec_driver_sql(_KNOWN, {"kind": kind}).one_or_none()
        name, live, generation = row or ("", False, 1)
        exists = self._engine.exists(kind, generation)
        if exists and name == self._engine.index(kind, generation):
            return live, generation
        # Forgotten before it is made: a crash in between must not leave an empty index that is taken for full.
        with self._database.begin() as db:
            db.exec_driver_sql(_FORGET, {"kind": kind})
        if not exists:
            self._engine.create(kind, generation)
        with self._database.begin() as db:
            db.exec_driver_sql(_ALL_DIRTY, {"kind": kind})
            self._note(db, kind, generation, live=False)
        return False, generation

    def _dirty(self, shape: Shape, after: UUID) -> list[Versioned]:
        weights = {weight: shape.weights.get(weight, "''") for weight in "ABCD"}
        names = {"table": shape.table, "key": shape.key, "categories": shape.categories, "status": shape.status}
        with self._database.begin() as db:
            given = {"kind": shape.kind, "page": PAGE, "after": after}
            rows = db.exec_driver_sql(_DIRTY.format(**weights, **names), given).all()
        return [Versioned(*row) for row in rows]

    def _note_sent(self, kind: str, documents: Sequence[Versioned], written: Written) -> None:
        """What was refused counts as sent too, with its reason: it would be refused again until it changes.

        What is left is not noted, and so stays dirty.
        """
        dealt_with = {*written.settled, *written.refused}
        if written.refused:
            log.error("Elasticsearch refused %d documents; see search_documents.refused", len(written.refused))
        rows = ((one.id, one.version, written.refused.get(one.id)) for one in documents if one.id in dealt_with)
        with self._database.begin() as db:
            db.exec_driver_sql(_SENT, {"kind": kind, **_DOCUMENTS.bound(rows)})

    def _note(self, db: Connection, kind: str, generation: int, *, live: bool) -> None:
        """Write down the index, unless the documents have been rebuilt meanwhile: then it is of the past."""
        name = self._engine.index(kind, generation)
        db.exec_driver_sql(_NOTE, {"kind": kind, "name": name, "live": live, "generation": generation})
