"""Finds events that rightly have no message: another event of the same matter has it, or they are imported history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.engines import make_engine
from fundlyhub.errors import FundlyHubError
from fundlyhub.events import Event
from fundlyhub.events import read as read_log
from fundlyhub.events.imported import is_imported
from fundlyhub.processing.load import corrected
from fundlyhub.processing.processor import Processor
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.ledger.matters import matter_of
from fundlyhub.settings import Settings
from fundlyhub.verification.scope import Db

_TOLD = """
    SELECT given.event_id, given.template
    FROM unnest(%(events)s::uuid[], %(templates)s::text[], %(matters)s::text[]) AS given(event_id, template, matter)
    WHERE EXISTS (SELECT FROM notifications AS message
                  WHERE message.matter = given.matter AND message.channel = %(channel)s
                    AND message.template = given.template)
"""

Told = tuple[UUID, str]
"""An event and a template."""


def rightly(
    settings: Settings, db: Db, processor: type[Processor], channel: str, wordless: Sequence[tuple[int, Notice]]
) -> AbstractSet[Told]:
    """Which of these messages, known by the event's position, another event has sent, or no one is to get."""
    if not wordless:
        return frozenset()
    positions = sorted({position for position, _ in wordless})
    engine = make_engine("events", settings, pooled=False)
    with engine.connect() as log:
        events = {event.position: event for event in _events(log, processor, positions)}
    engine.dispose()
    asked = [(events[at], notice) for at, notice in wordless if at in events]
    history = {(event.id, notice.template) for event, notice in asked if is_imported(event)}
    given = {
        "channel": channel,
        "events": [event.id for event, _ in asked],
        "templates": [notice.template for _, notice in asked],
        "matters": [matter_of(notice.matter, event) for event, notice in asked],
    }
    return history | {(event_id, template) for event_id, template in db.execute(_TOLD, given)}


def _events(log: Connection, processor: type[Processor], positions: Sequence[int]) -> Iterator[Event]:
    """The events as the processor got them; one that cannot be read has no messages."""
    for row in corrected(log, processor, read_log(log, positions)):
        with suppress(FundlyHubError):
            yield Event.stored(row)
