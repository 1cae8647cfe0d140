"""Pending events: those before an event in the log that are not processed yet; a message waits for them to say more."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Engine

from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.campaign import CampaignCreated
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.processing import Delivery
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.settings import Settings

LOOK_BACK = 100_000
"""How many positions before an event are searched, and only for entities that are not known."""

_FIRST = {"campaign": (CampaignCreated.event_type, "campaignId"), "user": (UserRegistered.event_type, "userId")}
"""The first event of an entity: its type, and the key of its payload with the entity's id."""

# A dead letter is not waited for: it needs a person's decision.
_STAND = """
    SELECT first.kind, e.payload ->> first.key AS id, min(e.position)
    FROM unnest(%(kinds)s::text[], %(types)s::text[], %(keys)s::text[]) AS first(kind, type, key)
    JOIN events.events e ON e.type = first.type AND e.position >= %(since)s AND e.position < %(before)s
    WHERE e.payload ->> first.key = ANY (%(ids)s::text[])
      AND NOT EXISTS (SELECT FROM events.dead_letters AS letter
                      WHERE letter.processor = 'reference_write' AND letter.position = e.position
                        AND letter.state <> 'resolved')
    GROUP BY 1, 2
"""


def is_awaited(delivery: Delivery, unknown: Collection[Entity], settings: Settings) -> bool:
    """Whether a message waits for one of these unknown entities."""
    if not unknown or delivery.waited.total_seconds() >= settings.notification_patience:
        return False
    return bool(before(get_engine("events"), unknown, delivery.event.position or 0))


def before(log: Engine, things: Collection[Entity], position: int) -> Mapping[Entity, int]:
    """The positions of the first events of these entities in the log, as far as they come before a position."""
    if not things:
        return {}
    by_id = {(thing.kind, str(thing.id)): thing for thing in things}
    kinds = sorted({thing.kind for thing in things} & _FIRST.keys())
    given = {
        "kinds": kinds,
        "types": [_FIRST[kind][0] for kind in kinds],
        "keys": [_FIRST[kind][1] for kind in kinds],
        "ids": [id_ for _, id_ in by_id],
        "since": position - LOOK_BACK,
        "before": position,
    }
    with log.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        rows = db.exec_driver_sql(_STAND, given).all()
    return {by_id[kind, id_]: at for kind, id_, at in rows if (kind, id_) in by_id}
