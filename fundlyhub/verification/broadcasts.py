"""Checks broadcasts: each claimed one has read all followers, and its messages are in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from fundlyhub.verification.findings import Kind
from fundlyhub.verification.scope import Db

_BROADCASTS = """
    SELECT known.event_id, template, finished_at IS NOT NULL AS finished, told,
           (SELECT count(*) FROM notifications AS message
            WHERE message.event_id = known.event_id AND message.channel = known.channel
              AND message.template = known.template) AS written
    FROM broadcasts AS known WHERE channel = %(channel)s AND event_id = ANY (%(ids)s::uuid[])
"""


def faults(db: Db, channel: str, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Kind, str, Any, Any]]:
    """What is wrong with the broadcasts of claimed events: event, kind, text, expected and found."""
    rows = db.execute(_BROADCASTS, {"channel": channel, "ids": list(ids)}) if ids else ()
    for event_id, template, finished, told, written in rows:
        if not finished:
            what = f"claimed, and its broadcast {template} has not looked at all followers"
            yield event_id, "different", what, {"finished": True}, {"finished": False}
        if written < told:
            what = f"messages of its broadcast {template} are gone from the ledger"
            yield event_id, "missing", what, {"messages": told}, {"messages": written}
