"""Checks digests: each is sent when it is due, and contains every message that was gathered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.verification.findings import Kind
from fundlyhub.verification.scope import Db

_OVERDUE = """
    SELECT template, count(*), min(position) FROM digests
    WHERE channel = %(channel)s AND position > %(since)s AND settled_at IS NULL AND due_at < %(late)s
    GROUP BY template ORDER BY template
"""
_LOST = """
    SELECT template, count(*), min(position) FROM notifications AS message
    WHERE channel = %(channel)s AND position > %(since)s AND state = 'skipped' AND reason = %(reason)s
      AND NOT EXISTS (SELECT FROM digest_members AS member
                      WHERE member.user_id = message.user_id AND member.channel = message.channel
                        AND member.template = message.template AND member.matter = message.matter)
    GROUP BY template ORDER BY template
"""


def faults(db: Db, channel: str, since: int, late: datetime | None) -> Iterator[tuple[Kind, str, int, int]]:
    """What is wrong with the digests of a channel: kind, text, the first position, and how many there are.

    Those due after ``late`` may still be told.
    """
    given = {"channel": channel, "since": since, "late": late, "reason": GATHERED}
    for template, number, position in db.execute(_OVERDUE, given).fetchall():
        yield "stuck", f"digests of {template} are due, and no run sends them", position, number
    for template, number, position in db.execute(_LOST, given).fetchall():
        yield "missing", f"messages {template} were gathered, and are in no digest", position, number
