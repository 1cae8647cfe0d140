"""Finds events that rightly have no message: another event of the same matter has it, or they are imported history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.engines import make_engine
from fundlyhub.errors import FundlyHubError
from fundlyhub.events import Event, read_in_portions
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


class _Asked(NamedTuple):
    """A message that is missed, and what its event says of it: the event itself may be large."""

    event_id: UUID
    template: str
    matter: str
    imported: bool


def rightly(
    settings: Settings, db: Db, processor: type[Processor], channel: str, wordless: Sequence[tuple[int, Notice]]
) -> AbstractSet[Told]:
    """Which of these messages, known by the event's position, another event has sent, or no one is to get."""
    if not wordless:
        return frozenset()
    notices: dict[int, list[Notice]] = {}
    for position, notice in wordless:
        notices.setdefault(position, []).append(notice)
    engine = make_engine("events", settings, pooled=False)
    with engine.connect() as log:
        asked = [
            _Asked(event.id, notice.template, matter_of(notice.matter, event), is_imported(event))
            for event in _events(log, processor, sorted(notices))
            for notice in notices[event.position or 0]
        ]
    engine.dispose()
    history = {(one.event_id, one.template) for one in asked if one.imported}
    given = {
        "channel": channel,
        "events": [one.event_id for one in asked],
        "templates": [one.template for one in asked],
        "matters": [one.matter for one in asked],
    }
    return history | {(event_id, template) for event_id, template in db.execute(_TOLD, given)}


def _events(log: Connection, processor: type[Processor], positions: Sequence[int]) -> Iterator[Event]:
    """The events as the processor got them; one that cannot be read has no messages."""
    for portion in read_in_portions(log, positions):
        for rows in corrected(log, processor, portion):
            for row in rows:
                with suppress(FundlyHubError):
                    yield Event.stored(row)
