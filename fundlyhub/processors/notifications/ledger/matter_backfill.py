"""Backfill of matters: rows that an earlier release has written get their matter from the log when it is needed.

That release identified a message by its event, and its workers still do so during a deploy. So a row gets its matter
as soon as a message to the same recipient is planned: the upgrade sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, Row

from fundlyhub.database import get_engine
from fundlyhub.database.arrays import array
from fundlyhub.errors import FundlyHubError
from fundlyhub.events import Event, StoredEvent
from fundlyhub.events import read as read_log
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE
from fundlyhub.processors.notifications.ledger.matters import Key, matter_of, of_event

PAGE = 1_000
"""Rows that are named in one transaction."""

# Messages that were not skipped come first: of several rows of one matter the first one counts.
_ROWS = """
    SELECT message.id, message.event_id, message.position, channel, recipient, template
    FROM notifications AS message
    JOIN unnest(%(channels)s::text[], %(recipients)s::text[], %(templates)s::text[])
        AS given(channel, recipient, template) USING (channel, recipient, template)
    WHERE message.matter IS NULL
    ORDER BY message.state = 'skipped', message.position, message.id LIMIT %(limit)s
    FOR NO KEY UPDATE OF message
"""
_NAME = """
    UPDATE notifications AS message
    SET matter = CASE
        WHEN EXISTS (SELECT FROM notifications AS other
                     WHERE other.matter = given.matter AND other.channel = message.channel
                       AND other.recipient = message.recipient AND other.template = message.template)
        THEN given.own ELSE given.matter END
    FROM unnest(%(ids)s::uuid[], %(matters)s::text[], %(own)s::text[]) AS given(id, matter, own)
    WHERE message.id = given.id
"""


def name(app: Engine, keys: Collection[Key]) -> None:
    """Give a matter to the rows to these recipients that have none. Raises outages of either database."""
    given = {
        "channels": array(key.channel for key in keys),
        "recipients": [key.recipient for key in keys],
        "templates": array(key.template for key in keys),
        "limit": PAGE,
    }
    while True:
        with app.begin() as db:
            rows = db.exec_driver_sql(_ROWS, given).all()
            if not rows:
                return
            matters = _matters(rows)
            own = [of_event(row.event_id) for row in rows]
            db.exec_driver_sql(_NAME, {"ids": [row.id for row in rows], "matters": matters, "own": own})


def _matters(rows: Sequence[Row[Any]]) -> list[str]:
    """The matter of each row. A second row of one matter, or one whose event is gone, is about its event alone."""
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as log:
        events = {one.id: one for one in _readable(read_log(log, sorted({row.position for row in rows})))}
    named: set[tuple[str, str, str, str]] = set()
    matters = []
    for row in rows:
        notice, event = BY_TEMPLATE.get(row.template), events.get(row.event_id)
        matter = None
        if notice and event and isinstance(event.payload, notice.payload):
            matter = matter_of(notice.matter, event)
        known = (matter or "", row.channel, row.recipient, row.template)
        matters.append(of_event(row.event_id) if matter is None or known in named else matter)
        named.add(known)
    return matters


def _readable(stored: Iterable[StoredEvent]) -> Iterable[Event]:
    for one in stored:
        try:
            yield Event.stored(one)
        except FundlyHubError:
            continue
