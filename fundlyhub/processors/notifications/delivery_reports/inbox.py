"""The inbox of delivery reports: stored at once and applied later, since a provider waits for the answer.

A report is applied and deleted in one transaction, so that a kill leaves it either stored or applied, and a repetition
changes nothing. A report that cannot be applied stays with `failed_at` and its error, and holds up no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from logging import getLogger
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine

from fundlyhub.channels.answers import plain_id
from fundlyhub.database import is_outage, is_setup_fault
from fundlyhub.observability.redaction import original
from fundlyhub.processors.notifications.delivery_reports.effects import Word, apply

log = getLogger(__name__)

MOST_BYTES = 256_000_000
"""The most bytes of waiting reports: beyond that the provider has to send them again."""
LATE = 30.0
"""Seconds after which a worker applies a report that the webhooks' own process has not applied."""

_STORE = """
    INSERT INTO delivery_reports (provider, words, bytes)
    SELECT %(provider)s, %(words)s::jsonb, %(bytes)s
    WHERE (SELECT coalesce(sum(bytes), 0) FROM delivery_reports WHERE discarded_at IS NULL) + %(bytes)s <= %(most)s
"""
_NEXT = """
    SELECT id, words FROM delivery_reports
    WHERE failed_at IS NULL AND received_at <= clock_timestamp() - make_interval(secs => %(age)s)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_DELETE = "DELETE FROM delivery_reports WHERE id = %(id)s"
_KEEP = """
    UPDATE delivery_reports SET words = %(words)s::jsonb, failed_at = clock_timestamp(), error = %(error)s
    WHERE id = %(id)s
"""
_WAITING = """
    SELECT count(*) - count(failed_at), count(failed_at),
           coalesce(extract(epoch FROM clock_timestamp() - min(received_at) FILTER (WHERE failed_at IS NULL)), 0)::float
    FROM delivery_reports WHERE discarded_at IS NULL
"""
_IS_LATE = """
    SELECT EXISTS (SELECT FROM delivery_reports WHERE failed_at IS NULL
                   AND received_at <= clock_timestamp() - make_interval(secs => %(age)s))
"""


class Waiting(NamedTuple):
    """Reports that wait, those that could not be applied, and the age in seconds of the oldest that waits."""

    waiting: int
    failed: int
    oldest_seconds: float


def store(db: Connection, provider: str, words: Sequence[Word], *, most: int = MOST_BYTES) -> bool:
    """Store the reports of a request; False when too many are waiting already."""
    said = orjson.dumps([_said(word) for word in words])
    given = {"provider": provider, "words": said.decode(), "bytes": len(said), "most": most}
    return not words or db.exec_driver_sql(_STORE, given).rowcount == 1


def waiting(db: Connection) -> Waiting:
    """How many reports wait, and for how long."""
    return Waiting(*db.exec_driver_sql(_WAITING).one())


def is_late(db: Connection) -> bool:
    """Whether a report has waited so long that the webhooks' process must be down."""
    return bool(db.exec_driver_sql(_IS_LATE, {"age": LATE}).scalar_one())


def take_up(engine: Engine, *, age: float = 0.0) -> Mapping[str, int]:
    """Apply all reports that are older than ``age`` seconds; returns their effects. Raises outages of the database."""
    counts: Counter[str] = Counter()
    while (found := _take_up_one(engine, age)) is not None:
        counts.update(found)
    if counts:
        log.info("taken up: %s", dict(counts))
    return counts


def _take_up_one(engine: Engine, age: float) -> Mapping[str, int] | None:
    with engine.begin() as db:
        row = db.exec_driver_sql(_NEXT, {"age": age}).first()
        if row is None:
            return None
        return apply_report(db, row.id, row.words)


def apply_report(db: Connection, id: int, said: Sequence[Any]) -> Mapping[str, int]:
    """Apply a stored report in the caller's transaction, and delete it; words that cannot be applied stay."""
    try:
        with db.begin_nested():
            found = apply(db, [_word(one) for one in said])
    except Exception as error:
        if is_outage(error) or is_setup_fault(error):
            raise
        return _one_by_one(db, id, said)
    db.exec_driver_sql(_DELETE, {"id": id})
    return found


def _one_by_one(db: Connection, id: int, said: Sequence[Any]) -> Mapping[str, int]:
    """Apply each report on its own; those that cannot be applied stay for an operator."""
    counts: Counter[str] = Counter()
    failed: list[Any] = []
    why = ""
    for one in said:
        try:
            with db.begin_nested():
                counts.update(apply(db, [_word(one)]))
        except Exception as error:
            if is_outage(error) or is_setup_fault(error):
                raise
            failed.append(one)
            why = type(original(error)).__name__
    if failed:
        log.error("%d words of a provider cannot be applied (%s): `fundlyhub notifications reports list`",
                  len(failed), why)  # fmt: skip
        db.exec_driver_sql(_KEEP, {"id": id, "words": orjson.dumps(failed).decode(), "error": why})
    else:
        db.exec_driver_sql(_DELETE, {"id": id})
    return {**counts, **({"failed": len(failed)} if failed else {})}


def _said(word: Word) -> Sequence[Any]:
    """A report as it is stored; of a provider's id only plain text."""
    return [str(word.notification), *word._replace(provider_message_id=plain_id(word.provider_message_id))[1:]]


def _word(said: Sequence[Any]) -> Word:
    return Word(UUID(said[0]), *said[1:])
