"""Backfill of matters: rows that an earlier release has written get their matter from the log when it is needed.

That release identified a message by its event, and its workers still do so during a deploy. So a row gets its matter
as soon as a message to the same recipient is planned: the upgrade sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row

from fundlyhub.database import get_engine
from fundlyhub.database.arrays import Columns
from fundlyhub.errors import FundlyHubError
from fundlyhub.events import Event, StoredEvent, read_in_portions
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE
from fundlyhub.processors.notifications.ledger.matters import Key, matter_of, of_event

PAGE = 1_000
"""Rows that are named in one transaction."""

_RECIPIENTS = Columns(channel="code", recipient="text", template="code")
_MATTERS = Columns(id="uuid", matter="text", own="text")
# Messages that were not skipped come first: of several rows of one matter the first one counts.
_ROWS = f"""
    SELECT message.id, message.event_id, message.position, channel, recipient, template
    FROM notifications AS message
    JOIN {_RECIPIENTS.given} USING (channel, recipient, template)
    WHERE message.matter IS NULL
    ORDER BY message.state = 'skipped', message.position, message.id LIMIT %(limit)s
    FOR NO KEY UPDATE OF message
"""  # noqa: S608 - put together from constants
_NAME = f"""
    UPDATE notifications AS message
    SET matter = CASE
        WHEN EXISTS (SELECT FROM notifications AS other
                     WHERE other.matter = given.matter AND other.channel = message.channel
                       AND other.recipient = message.recipient AND other.template = message.template)
        THEN given.own ELSE given.matter END
    FROM {_MATTERS.given} WHERE message.id = given.id
"""  # noqa: S608


def name(app: Engine, keys: Collection[Key]) -> None:
    """Give a matter to the rows to these recipients that have none. Raises outages of either database."""
    given = {**_RECIPIENTS.bound((key.channel, key.recipient, key.template) for key in keys), "limit": PAGE}
    while True:
        with app.begin() as db:
            rows = db.exec_driver_sql(_ROWS, given).all()
            if not rows:
                return
            named = ((row.id, matter, of_event(row.event_id)) for row, matter in zip(rows, _matters(rows), strict=True))
            db.exec_driver_sql(_NAME, _MATTERS.bound(named))


def _matters(rows: Sequence[Row[Any]]) -> list[str]:
    """The matter of each row. A second row of one matter, or one whose event is gone, is about its event alone."""
    said = _said(rows)
    named: set[tuple[str, str, str, str]] = set()
    matters = []
    for row in rows:
        matter = said.get((row.event_id, row.template))
        known = (matter or "", row.channel, row.recipient, row.template)
        matters.append(of_event(row.event_id) if matter is None or known in named else matter)
        named.add(known)
    return matters


def _said(rows: Sequence[Row[Any]]) -> dict[tuple[UUID, str], str]:
    """What the event of each row says of its matter; an event that is gone or cannot be read says nothing."""
    templates: dict[UUID, set[str]] = {}
    for row in rows:
        templates.setdefault(row.event_id, set()).add(row.template)
    found = {}
    with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as log:
        for portion in read_in_portions(log, sorted({row.position for row in rows})):
            for event in _readable(portion):
                for template in templates.get(event.id, ()):
                    notice = BY_TEMPLATE.get(template)
                    if notice and isinstance(event.payload, notice.payload):
                        found[event.id, template] = matter_of(notice.matter, event)
    return found


def _readable(stored: Iterable[StoredEvent]) -> Iterable[Event]:
    for one in stored:
        try:
            yield Event.stored(one)
        except FundlyHubError:
            continue
