"""The processor of the lookup table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns
from fundlyhub.events import Event, lookup_keys
from fundlyhub.processing import ProjectionProcessor

_COLUMNS = Columns(key="bigint", position="bigint")
_ADD = f"""
    INSERT INTO event_lookup ({_COLUMNS}) SELECT * FROM {_COLUMNS.given} ORDER BY key, position ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants


class EventLookupProcessor(ProjectionProcessor):
    """Positions of all events by aggregate, correlation and causation, for `fundlyhub events list` and `story`.

    The log has indexes on position and id alone, so that publishing pays for nothing else. Converges without the
    claims too: a row follows from its event, and never changes. A row stays when its event is archived, since the
    event may be restored.
    """

    handles = ("**",)
    tables = ("event_lookup",)
    reads_contents = False
    all_or_nothing = False
    batch_size = 2_000

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Add the keys of these events, in one statement."""
        rows = [row for event in events for row in _rows(event)]
        if rows:
            db.exec_driver_sql(_ADD, _COLUMNS.bound(rows))


def _rows(event: Event) -> Iterator[tuple[int, int | None]]:
    if event.aggregate_id is not None:
        yield lookup_keys.aggregate(event.aggregate_id), event.position
    if event.correlation_id is not None:
        yield lookup_keys.correlation(event.correlation_id), event.position
    if event.causation_id is not None:
        yield lookup_keys.causation(event.causation_id), event.position
