"""SQL on documents: lock, write and remove them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.processors.projections.search_index.documents import Document
from fundlyhub.processors.projections.search_index.shapes import COMMON, SHAPES, Shape
from fundlyhub.processors.shared.last_writer_fields import Entity

Gift = tuple[UUID, UUID]
"""Campaign and donation."""


class State(NamedTuple):
    """A document under its lock: how many follow it or gave to it by now, and the digest of what can be found."""

    popularity: int
    digest: str | None


_GIFTS = Columns(campaign_id="uuid", donation_id="uuid")
_GIVE = f"""
    INSERT INTO search_gifts ({_GIFTS}) SELECT * FROM {_GIFTS.given} ORDER BY {_GIFTS}
    ON CONFLICT DO NOTHING RETURNING campaign_id
"""  # noqa: S608 - put together from constants

# Sorted, so that two batches cannot deadlock.
_POPULARITY = Columns(kind="code", id="uuid", popularity="bigint")
_LOCK = f"""
    INSERT INTO search_documents AS known ({_POPULARITY}) SELECT * FROM {_POPULARITY.given} ORDER BY kind, id
    ON CONFLICT (kind, id) DO UPDATE SET popularity = known.popularity + excluded.popularity
    RETURNING kind, id, popularity, digest
"""  # noqa: S608

_DIGESTS = Columns(kind="code", id="uuid", digest="code")
_STAMP = f"""
    UPDATE search_documents AS known SET digest = given.digest, version = version + 1 FROM {_DIGESTS.given}
    WHERE known.kind = given.kind AND known.id = given.id
"""  # noqa: S608

_DELETE = "DELETE FROM {table} WHERE {key} = ANY (%(ids)s::uuid[])"

# What can be found by its beginning, or by other forms of its words; a story only by the latter, since its words
# would double the index.
_PUT = """
    INSERT INTO {table} ({columns}, created_at, popularity, hot, title_key, title_vector, search_vector)
    SELECT {columns}, created_at, popularity, coalesce(created_at, 'epoch') + popularity * interval '30 days',
           title_key, {title_vector}, {title_vector} || {vector}
    FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS given({types}, created_at timestamptz, popularity smallint, title_key text)
    ON CONFLICT ({key}) DO UPDATE SET {assignments}
"""


def give(db: Connection, gifts: Iterable[Gift]) -> list[UUID]:
    """Note who gave to what; the campaigns of the gifts that are new, each as often as it has new ones."""
    rows = list(gifts)
    if not rows:
        return []
    return list(db.exec_driver_sql(_GIVE, _GIFTS.bound(rows)).scalars())


def lock(db: Connection, added: Mapping[Entity, int]) -> dict[Entity, State]:
    """Lock documents until the transaction ends, made where they are missing; add to their popularity."""
    rows = db.exec_driver_sql(_LOCK, _POPULARITY.bound((*one, more) for one, more in added.items())).all()
    return {Entity(kind, id_): State(popularity, digest) for kind, id_, popularity, digest in rows}


def write(db: Connection, changed: Mapping[Entity, Document | None]) -> None:
    """Write changed documents, and remove those that are not public any more."""
    if not changed:
        return
    for kind, shape in SHAPES.items():
        gone = [entity.id for entity, found in changed.items() if found is None and entity.kind == kind]
        if gone:
            db.exec_driver_sql(_DELETE.format(table=shape.table, key=shape.key), {"ids": array(gone)})
        found = [found for found in changed.values() if found is not None and found.entity.kind == kind]
        if found:
            db.exec_driver_sql(_put(shape), {"rows": _rows(shape, found)})
    digests = ((*one, found.digest if found else None) for one, found in changed.items())
    db.exec_driver_sql(_STAMP, _DIGESTS.bound(digests))


def _put(shape: Shape) -> str:
    columns = shape.columns
    plain = {weight: text for weight, text in shape.weights.items() if weight != "C" or shape.kind != "campaign"}
    return _PUT.format(
        table=shape.table,
        key=shape.key,
        columns=", ".join(columns),
        types=", ".join(f"{column} {type_}" for column, type_ in shape.columns.items()),
        title_vector=_vector({"A": shape.weights["A"]}, plain={"A": shape.weights["A"]}),
        vector=_vector(
            {weight: text for weight, text in shape.weights.items() if weight != "A"},
            plain={weight: text for weight, text in plain.items() if weight != "A"},
        ),
        assignments=", ".join(f"{column} = excluded.{column}" for column in (*columns, *COMMON)),
    )


def _vector(stemmed: Mapping[str, str], plain: Mapping[str, str]) -> str:
    parts = [("search_stem", *item) for item in stemmed.items()] + [("search_plain", *item) for item in plain.items()]
    return " || ".join(f"setweight(to_tsvector('{config}', {text}), '{weight}')" for config, weight, text in parts)


def _rows(shape: Shape, found: Sequence[Document]) -> str:
    rows = [
        {
            shape.key: str(one.entity.id), **one.columns, "popularity": one.popularity, "title_key": one.title_key,
            "created_at": one.created_at.isoformat() if one.created_at else None,
        }
        for one in found
    ]  # fmt: skip
    return orjson.dumps(rows).decode()
