"""All audits of the Events DB side by side, page by page: who decided what, and who was shown what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

LOOKED_THROUGH = 5_000
"""Lines that one page looks through at most: who did a thing is not indexed."""

# Of letters only what a person decided: a worker notes there what failed and what was applied.
_KINDS: Mapping[str, tuple[str, str, str, str, str]] = {
    "shown": ("events.disclosures", "what", "command", "NULL::text", "true"),
    "letters": (
        "events.dead_letter_audit", "'letter ' || letter_id", "action", "details",
        "action NOT IN ('failed', 'applied', 'skipped')",
    ),
    "pauses": ("events.processor_pause_audit", "processor", "action || ' ' || kind", "details", "true"),
    "quarantine": ("events.quarantine_audit", "'entry ' || quarantine_id", "action", "details",
                   "action <> 'quarantined'"),
    "console": ("events.console_audit", "name", "action", "details", "true"),
}  # fmt: skip
KINDS = tuple(_KINDS)
"""Payloads and messages that were shown; decisions on letters, pauses and quarantine; and the console's own."""


def _page_of(kind: str) -> str:
    table, about, action, details, wanted = _KINDS[kind]
    return f"""
        SELECT id, at, who, account, role, about, action, details, chosen FROM (
            SELECT id, at, who, account, role, {about} AS about, {action} AS action, {details} AS details,
                   {wanted} AND (%(who)s::text IS NULL OR who = %(who)s) AS chosen
            FROM {table} WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(most)s
        ) AS lines
        WHERE chosen ORDER BY id DESC LIMIT %(limit)s
    """  # noqa: S608  # our own names


_OLDEST = """
    SELECT min(id), count(*) FROM (
        SELECT id FROM {table} WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(most)s
    ) AS lines
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an audit. ``who`` is the given name, ``account`` the real one, ``role`` that of the database."""

    id: int
    at: datetime
    who: str
    account: str | None
    role: str | None
    about: str
    action: str
    details: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, the newest first. ``next`` is the id before which the list goes on; None at its end."""

    lines: tuple[Line, ...]
    next: int | None


def page(
    db: Connection, kind: str, *, who: str | None = None, before: int | None = None, limit: int = 50,
    most: int = LOOKED_THROUGH,
) -> Page:  # fmt: skip
    """One page of the audit of this kind, of everybody or of ``who``.

    It looks through ``most`` lines, so a page may have few lines, or none, and a ``next``.
    """
    given = {"who": who, "before": before, "most": most, "limit": limit}
    rows = db.exec_driver_sql(_page_of(kind), given).all()
    lines = tuple(Line(*row[:8]) for row in rows)
    if len(lines) == limit:
        return Page(lines, lines[-1].id)
    oldest, looked = db.exec_driver_sql(_OLDEST.format(table=_KINDS[kind][0]), given).one()
    return Page(lines, oldest if looked == most else None)
