"""The age of events at publication: an event that was published too late is history, and sends nothing.

Our own delay does not count: an event that was fresh when it was published is sent even after an outage of days, or
when a dead letter is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine

from fundlyhub.database.arrays import array
from fundlyhub.processing import Delivery
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.settings import Settings

FRESH = timedelta()
"""The age of an event that is not old."""
_RECORDED = "SELECT id, recorded_at FROM events.events WHERE position = ANY (%(positions)s::bigint[])"


def limit_of(notice: Notice, settings: Settings) -> timedelta | None:
    """The age beyond which a message is not sent; None is no limit."""
    seconds = settings.sign_in_max_age if notice.short_lived else settings.notification_max_age
    return timedelta(seconds=seconds) if seconds else None


def is_too_old(notice: Notice, age: timedelta, settings: Settings) -> bool:
    """Whether an event of this age at publication is too old for a message."""
    limit = limit_of(notice, settings)
    return limit is not None and age > limit


def at_publication(
    log: Engine, deliveries: Sequence[Delivery], settings: Settings, now: datetime
) -> Mapping[UUID, timedelta]:
    """The ages of those events that may be too old; the log is asked only when there are any."""
    limit = timedelta(seconds=min(settings.sign_in_max_age, settings.notification_max_age))
    old = {one.event.position: one.event for one in deliveries if now - one.event.timestamp > limit}
    if not old:
        return {}
    times = {event.id: event.timestamp for event in old.values()}
    with log.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        rows = db.exec_driver_sql(_RECORDED, {"positions": array(old)}).all()
    return {id_: recorded_at - times[id_] for id_, recorded_at in rows if id_ in times}
