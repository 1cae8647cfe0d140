"""Checks broadcasts: each claimed one has read all followers, and its messages are in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
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


class Fault(NamedTuple):
    """What is wrong with a broadcast of a claimed event."""

    event_id: UUID
    kind: Kind
    what: str
    expected: object
    found: object


class Told(NamedTuple):
    """How far a broadcast is, and how many messages of it there are."""

    event_id: UUID
    template: str
    finished: bool
    told: int
    written: int


def read(db: Db, channel: str, ids: Sequence[UUID]) -> list[Told]:
    """The broadcasts of these events through a channel."""
    rows = db.execute(_BROADCASTS, {"channel": channel, "ids": list(ids)}) if ids else ()
    return [Told(*row) for row in rows]


def faults(told: Sequence[Told]) -> Iterator[Fault]:
    """What is wrong with broadcasts of claimed events. Pure."""
    for one in told:
        if not one.finished:
            what = f"claimed, and its broadcast {one.template} has not looked at all followers"
            yield Fault(one.event_id, "different", what, {"finished": True}, {"finished": False})
        if one.written < one.told:
            what = f"messages of its broadcast {one.template} are gone from the ledger"
            yield Fault(one.event_id, "missing", what, {"messages": one.told}, {"messages": one.written})
