"""Delivery reports that could not be applied: find them, apply them again, and discard them with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from fundlyhub.database.audited import named, reasoned
from fundlyhub.processors.notifications.delivery_reports.inbox import apply_report

_FIND = """
    SELECT id, provider, received_at, failed_at, error, words, discarded_at, discarded_by, discard_reason
    FROM delivery_reports WHERE failed_at IS NOT NULL AND (discarded_at IS NOT NULL) = %(discarded)s
    ORDER BY id DESC LIMIT %(limit)s
"""
_OPEN = "SELECT id FROM delivery_reports WHERE failed_at IS NOT NULL AND discarded_at IS NULL ORDER BY id"
_LOCK = """
    SELECT words FROM delivery_reports
    WHERE id = %(id)s AND failed_at IS NOT NULL AND discarded_at IS NULL FOR UPDATE
"""
_ERROR = "SELECT error FROM delivery_reports WHERE id = %(id)s"
_DISCARD = """
    UPDATE delivery_reports
    SET discarded_at = clock_timestamp(), discarded_by = %(who)s, discard_reason = %(reason)s
    WHERE id = ANY (%(ids)s::bigint[]) AND failed_at IS NOT NULL AND discarded_at IS NULL
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class FailedReport:
    """A report that could not be applied, with the ids of the messages that it is about; no address is in it."""

    id: int
    provider: str
    received_at: datetime
    failed_at: datetime
    error: str
    messages: Sequence[str]
    discarded_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


class Retried(NamedTuple):
    """What became of the reports that were tried again, by their ids; ``failed`` holds the class of the error."""

    applied: Sequence[int]
    failed: dict[int, str]
    unknown: Sequence[int]


def find(db: Connection, *, discarded: bool = False, limit: int = 50) -> list[FailedReport]:
    """Reports that wait for a person, or those that were discarded; the newest first."""
    rows = db.exec_driver_sql(_FIND, {"discarded": discarded, "limit": limit})
    return [
        FailedReport(
            row.id, row.provider, row.received_at, row.failed_at, row.error, list(_messages(row.words)),
            row.discarded_at, row.discarded_by, row.discard_reason,
        )
        for row in rows
    ]  # fmt: skip


def open_ids(db: Connection) -> list[int]:
    """The ids of all that wait for a person."""
    return list(db.exec_driver_sql(_OPEN).scalars())


def retry(engine: Engine, ids: Sequence[int]) -> Retried:
    """Apply reports again, each in a transaction of its own. Raises outages of the database."""
    applied, failed, unknown = [], {}, []
    for id in ids:
        with engine.begin() as db:
            words = db.exec_driver_sql(_LOCK, {"id": id}).scalar_one_or_none()
            if words is None:
                unknown.append(id)
                continue
            apply_report(db, id, words)
            error = db.exec_driver_sql(_ERROR, {"id": id}).scalar_one_or_none()
            if error is None:
                applied.append(id)
            else:
                failed[id] = str(error)
    return Retried(applied, failed, unknown)


def discard(db: Connection, ids: Sequence[int], *, who: str, reason: str) -> list[int]:
    """Let reports rest for good; the ids of those that waited for a person. Raises WrongUse without name or reason."""
    given = {"ids": list(ids), "who": named(who), "reason": reasoned(reason)}
    return sorted(db.exec_driver_sql(_DISCARD, given).scalars())


def _messages(words: Any) -> Iterator[str]:
    """The messages of words that may be anything: else they would have been applied."""
    for word in words if isinstance(words, list) else ():
        if isinstance(word, list) and word:
            yield str(word[0])
