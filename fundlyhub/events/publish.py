"""Publishing: inserts events into the log in the caller's own transaction (transactional outbox).

No function here contacts the broker or commits a caller's transaction. The rows are inserted by one statement, so a
call is one round trip with any driver.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.engines import get_engine
from fundlyhub.database.faults import is_outage, sqlstate, unavailable
from fundlyhub.errors import ConflictingEvent, InvalidEvent, NotMigrated, WrongUse
from fundlyhub.events.encoding import dumps
from fundlyhub.events.envelope import Event
from fundlyhub.events.imported import as_imported
from fundlyhub.events.payload import Payload
from fundlyhub.events.plain import is_plain
from fundlyhub.events.sessions import AsyncSessions, Statement, SyncSession, execute, execute_async
from fundlyhub.events.tracing import publishing
from fundlyhub.settings import get_settings

CHUNK = 1_000
"""Most events in one statement."""
CHUNK_BYTES = 16 * 1024 * 1024
"""Approximate bytes of events in one statement: a jsonb value is limited to 256 MB."""

# A view and a function that act as the log's owner: a publisher needs no other right (docs/publishing.md). The view is
# for the usual single event. It returns no row if the id exists, a role is limited or an id is archived: the function
# then checks all of that. The sleep flag is read by the function behind pg_sequences, which is quicker than a scan.
_ONE = Statement("""
    INSERT INTO events.publications (id, type, version, aggregate_type, aggregate_id, payload, metadata,
                                     correlation_id, causation_id, occurred_at)
    SELECT CAST(%(id)s AS uuid), CAST(%(type)s AS text), CAST(%(version)s AS text),
           CAST(%(aggregate_type)s AS text), CAST(%(aggregate_id)s AS text),
           CAST(CAST(%(payload)s AS text) AS jsonb), CAST(CAST(%(metadata)s AS text) AS jsonb),
           CAST(%(correlation_id)s AS uuid), CAST(%(causation_id)s AS uuid), CAST(%(occurred_at)s AS timestamptz)
    WHERE pg_sequence_last_value('events.closer_look') IS NULL
    ON CONFLICT (id) DO NOTHING
    RETURNING position,
        CASE WHEN CAST(%(wake)s AS boolean) AND pg_sequence_last_value('events.relay_sleep') = 2
             THEN CAST(pg_notify('fundlyhub_relay', '') AS text) END
""")
_MANY = Statement("""
    SELECT n, stored_position, stored_at, outcome
    FROM events.append_events(CAST(CAST(%(batch)s AS text) AS jsonb), CAST(%(wake)s AS boolean))
""")


_REFUSALS = ("22023", "54000", "42501")
_REFUSED = re.compile(r"publish_event: (.+)")
"""The functions' own words for a broken rule, which quote no value."""


class Published(NamedTuple):
    """A published event: as it is in the log, and whether it is new there."""

    event: Event
    is_new: bool


def publish_event(
    payload_or_event: Payload | Event,
    *,
    session: SyncSession | None = None,
    id: UUID | None = None,
    timestamp: datetime | None = None,
    correlation_id: UUID | None = None,
    causation_id: UUID | None = None,
    metadata: dict[str, Any] | None = None,
    imported: bool = False,
    notify: bool = True,
) -> Event:
    """Write one event into the log, within the caller's transaction, and return it with its position.

    ``session`` is a SQLAlchemy Session or Connection, or a psycopg Connection, to the Events DB; its
    transaction is left open. Without one the event is committed in a transaction of its own. The same
    ``id`` twice with the same content is one event. ``imported`` events are history, of which nobody is told.
    ``notify=False`` is for prepared transactions, which PostgreSQL does not let NOTIFY.

    Raises InvalidEvent when the event breaks a rule, ConflictingEvent when the id is taken by other content
    (then roll the transaction back), NotMigrated, or, without a session, Unavailable.

    ::

        from fundlyhub import UserFollowedCampaign, publish_event

        follow = UserFollowedCampaign(user_id=ann, campaign_id=wells, follow_type="user")
        event = publish_event(follow, session=session)
        session.commit()
        assert event.position is not None
    """
    event, timed = _event(
        payload_or_event, imported=imported, id=id, timestamp=timestamp, correlation_id=correlation_id,
        causation_id=causation_id, metadata=metadata,
    )  # fmt: skip
    with publishing((event,)) as events:
        return insert(events, session=session, notify=notify, timed=timed)[0].event


def publish_events(
    payloads_or_events: Iterable[Payload | Event],
    *,
    session: SyncSession | None = None,
    imported: bool = False,
    notify: bool = True,
) -> list[Event]:
    """Write many events in their order, a thousand per round trip; all or none without a session.

    ``imported`` events are history, of which nobody is told. Raises as ``publish_event`` does.

    ::

        from fundlyhub import UserFollowedCampaign, publish_events

        follows = [UserFollowedCampaign(user_id=user, campaign_id=wells, follow_type="user") for user in (ann, bo)]
        assert len(publish_events(follows)) == 2
    """
    given = [item if isinstance(item, Event) else Event.of(item) for item in payloads_or_events]
    if imported:
        given = [as_imported(event) for event in given]
    with publishing(given) as events:
        return [published.event for published in insert(events, session=session, notify=notify)]


async def publish_event_async(
    payload_or_event: Payload | Event,
    *,
    session: AsyncSessions | None = None,
    id: UUID | None = None,
    timestamp: datetime | None = None,
    correlation_id: UUID | None = None,
    causation_id: UUID | None = None,
    metadata: dict[str, Any] | None = None,
    imported: bool = False,
    notify: bool = True,
) -> Event:
    """Do what ``publish_event`` does, for an AsyncSession, an AsyncConnection or a psycopg AsyncConnection.

    ::

        from fundlyhub import UserFollowedCampaign, publish_event_async

        async def follow(session, user, campaign):
            await publish_event_async(
                UserFollowedCampaign(user_id=user, campaign_id=campaign, follow_type="user"), session=session
            )
    """
    event, timed = _event(
        payload_or_event, imported=imported, id=id, timestamp=timestamp, correlation_id=correlation_id,
        causation_id=causation_id, metadata=metadata,
    )  # fmt: skip
    with publishing([event]) as (event,):
        if session is None:
            return (await asyncio.to_thread(insert, [event], session=None, notify=notify, timed=timed))[0].event
        return await _insert_async(event, session, notify, timed)


async def _insert_async(event: Event, session: AsyncSessions, notify: bool, timed: bool) -> Event:
    try:
        if is_plain(event) and (rows := await execute_async(session, _ONE, _values(event, notify))):
            return event.placed(rows[0][0])
        ((events, batch),) = _batches([event], timed)
        rows = await execute_async(session, _MANY, {"batch": batch, "wake": notify})
    except (DBAPIError, psycopg.Error) as error:
        raise _explained(error) from None
    return _settled(events, rows)[0].event


def insert(
    events: Sequence[Event], *, session: SyncSession | None, notify: bool = True, timed: bool = True
) -> list[Published]:
    """Insert checked events; see ``publish_event`` for the errors.

    ``timed`` means that the caller gave the timestamps, which are then part of the content.
    """
    if session is None:
        return _in_own_transaction(events, notify, timed)
    if len(events) == 1 and is_plain(events[0]) and (rows := _execute(session, _ONE, _values(events[0], notify))):
        return [Published(events[0].placed(rows[0][0]), is_new=True)]
    published: list[Published] = []
    for chunk, batch in _batches(events, timed):
        rows = _execute(session, _MANY, {"batch": batch, "wake": notify})
        published += _settled(chunk, rows)
    return published


def _execute(session: SyncSession, statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    try:
        return execute(session, statement, values)
    except (DBAPIError, psycopg.Error) as error:
        raise _explained(error) from None


def _in_own_transaction(events: Sequence[Event], notify: bool, timed: bool) -> list[Published]:
    try:
        with get_engine("events").begin() as connection:
            return insert(events, session=connection, notify=notify, timed=timed)
    except (DBAPIError, psycopg.Error) as error:
        if is_outage(error):
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise unavailable("events", get_settings().dsn("events"), cause) from None
        raise


def _event(given: Payload | Event, *, imported: bool, **fields: Any) -> tuple[Event, bool]:
    """The event to insert, and whether the caller gave its timestamp; ``fields`` are those of ``Event.of``."""
    if isinstance(given, Payload):
        event = Event.of(given, **fields)
        return as_imported(event) if imported else event, fields["timestamp"] is not None
    if not isinstance(given, Event):
        raise WrongUse(f"publish_event takes a payload or an Event, not {type(given).__name__}")
    if any(value is not None for value in fields.values()):
        raise WrongUse("an Event has its own id, timestamp and metadata: give them there")
    return as_imported(given) if imported else given, True


def _batches(events: Sequence[Event], timed: bool) -> Iterator[tuple[Sequence[Event], str]]:
    """The events in chunks of one statement, each with its JSON array for append_events."""
    rows: list[bytes] = []
    start = size = 0
    for end, event in enumerate(events, 1):
        rows.append(dumps(_row(len(rows) + 1, event, timed)))
        size += len(rows[-1])
        if end == len(events) or len(rows) == CHUNK or size >= CHUNK_BYTES:
            yield events[start:end], f"[{b','.join(rows).decode()}]"
            rows, start, size = [], end, 0


def _columns(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "version": event.version,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "occurred_at": event.timestamp,
    }


def _values(event: Event, notify: bool) -> dict[str, Any]:
    texts = {"payload": event.payload_json.decode(), "metadata": event.metadata_json.decode()}
    return {**_columns(event), **texts, "wake": notify}


def _row(n: int, event: Event, timed: bool) -> dict[str, Any]:
    content = {"payload": orjson.Fragment(event.payload_json), "metadata": event.metadata}
    return {"n": n, **_columns(event), **content, "time_given": timed}


def _settled(events: Sequence[Event], rows: Sequence[Any]) -> list[Published]:
    published = []
    for n, position, stored_at, outcome, *_ in rows:
        event = events[n - 1]
        if outcome == "different":
            raise ConflictingEvent(f"id: event {event.id} is in the log already, with other content")
        published.append(Published(event.placed(position, stored_at), outcome == "new"))
    return published


def _explained(error: DBAPIError | psycopg.Error) -> Exception:
    """NotMigrated for a missing function or schema, InvalidEvent for a rule that the functions found broken.

    Else it is the error itself, without its parameters.
    """
    code = sqlstate(error)
    if code in ("42883", "3F000", "42P01"):
        return NotMigrated("this database has no event log: run `fundlyhub migrate` on it")
    if code in _REFUSALS and (said := _REFUSED.search(str(getattr(error, "orig", error)))):
        return InvalidEvent(said[1])
    if isinstance(error, DBAPIError):
        error.hide_parameters = True  # the caller's engine may log them
    return error
