"""Publishes at a steady rate through `publish_events`, each event in the transaction of its business row."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.peers import work
from benchmarks.peers.work import Event
from fundlyhub import Event as OurEvent
from fundlyhub import publish_events
from fundlyhub.events.catalogue import CURRENT

MOST = 500
"""Transactions a second at most: above that, fifty events share one."""

_APPLIED = "SELECT count(*) FROM analytics.processed_events"
_BUSINESS = """
    INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::numeric[])
"""

Prepared = tuple[tuple[Any, ...], OurEvent]
"""A business row, and its event."""


def prepare(event: Event) -> Prepared:
    """An event of the file as one of ours, and the business row of a donation."""
    paid = event["payload"]
    return (event["id"], paid["campaignId"], paid["donorId"], Decimal(str(paid["amount"]))), checked(event)


def checked(event: Event) -> OurEvent:
    """An event of a file as one of ours, checked. A file of donations does not say their type."""
    kind = CURRENT[event.get("type", "donation.completed")]
    exact = {name: Decimal(str(one)) if isinstance(one, float) else one for name, one in event["payload"].items()}
    payload = kind.model_validate(exact)
    return OurEvent.of(payload, id=UUID(event["id"]), timestamp=datetime.fromisoformat(event["at"]))


def publish(prepared: Sequence[Prepared]) -> None:
    """One transaction."""
    db = connection()
    with db.transaction():
        db.execute(_BUSINESS, [list(column) for column in zip(*(row for row, _ in prepared), strict=True)])
        publish_events([event for _, event in prepared], session=db)


@cache
def connection() -> psycopg.Connection[Any]:
    """The API's."""
    return psycopg.connect(work.DSN, autocommit=True)


def applied() -> int:
    """Claims so far."""
    row: Any = connection().execute(_APPLIED).fetchone()
    return int(row[0])


if __name__ == "__main__":
    file, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    work.pace(file, rate, seconds, publish, applied, prepare=prepare, per=50 if rate > MOST else 1)
