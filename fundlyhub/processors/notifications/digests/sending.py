"""Due digests: closed, decided on and written into the ledger in one transaction, then sent like any message.

A kill at any step leaves a row that becomes due again, and the digest's rows in the ledger say where to go on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.messages import ChannelName
from fundlyhub.errors import Snooze
from fundlyhub.processing import paused_meanwhile
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import open_messages
from fundlyhub.processors.notifications.catalogue import DIGESTS
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.digests import totals
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.matters import Key
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.outgoing import decide
from fundlyhub.processors.notifications.policy import no_address
from fundlyhub.processors.notifications.sending import Sending
from fundlyhub.settings import Settings

PAGE = 50
"""Digests that are sent side by side."""

_DUE = """
    SELECT id FROM digests
    WHERE channel = %(channel)s AND settled_at IS NULL AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT %(limit)s
"""
_LOCK = """
    SELECT id, user_id, channel, template, position, closed_at IS NOT NULL AS closed FROM digests
    WHERE id = %(id)s AND settled_at IS NULL AND due_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
"""
# It is due again when the lease ends, in case its worker dies.
_CLOSE = """
    UPDATE digests SET closed_at = coalesce(closed_at, clock_timestamp()),
                       due_at = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE id = %(id)s
"""
_WAIT = "UPDATE digests SET due_at = %(at)s WHERE id = %(id)s"
# Due when the next of its messages may be sent, in five seconds at the earliest; settled when none is open.
_LOOK_AGAIN = """
    UPDATE digests AS known
    SET due_at = greatest(left_over.next, clock_timestamp() + interval '5 seconds'),
        settled_at = CASE WHEN left_over.open = 0 THEN clock_timestamp() END
    FROM (SELECT digest.id, count(message.id) AS open,
                 min(CASE message.state WHEN 'queued' THEN message.not_before ELSE message.lease_until END) AS next
          FROM digests AS digest
          LEFT JOIN notifications AS message
               ON message.matter = 'digest=' || digest.id AND message.channel = digest.channel
              AND message.state IN ('queued', 'sending')
          WHERE digest.id = ANY (%(ids)s::uuid[])
          GROUP BY digest.id) AS left_over
    WHERE known.id = left_over.id AND known.closed_at IS NOT NULL AND known.settled_at IS NULL
"""


def are_due(db: Connection, channel: ChannelName) -> bool:
    """Whether a digest of a channel is due."""
    return db.exec_driver_sql(_DUE, {"channel": channel, "limit": 1}).first() is not None


class Digesting:
    """Sends the digests of one channel."""

    def __init__(self, channel: ChannelName, engine: Engine, sending: Sending, settings: Settings) -> None:
        self._channel, self._engine, self._sending, self._settings = channel, engine, sending, settings

    def send(self, end: float) -> None:
        """Send what is due until ``end``, a time of the monotonic clock. Raises outages of the database."""
        while time.monotonic() < end and not paused_meanwhile() and (ids := self._due()):
            try:
                self._sending.check()
            except Snooze:  # nothing can be sent: all of them stay due
                return
            ours = {id: messages for id in ids if (messages := self._messages(id)) is not None}
            if not ours:
                return  # they wait for quiet hours to end, or other workers are at them
            for _ in self._sending.send([one for messages in ours.values() for one in messages], end):
                pass  # each waits on its own
            with self._engine.begin() as db:
                db.exec_driver_sql(_LOOK_AGAIN, {"ids": sorted(ours)})

    def _due(self) -> Sequence[UUID]:
        with self._engine.begin() as db:  # asked after each batch: a rollback would make psycopg forget statements
            return db.exec_driver_sql(_DUE, {"channel": self._channel, "limit": PAGE}).scalars().all()

    def _messages(self, id: UUID) -> list[Message] | None:
        """The messages of a digest that may be sent; None when it waits, or another worker is at it."""
        with self._engine.begin() as db:
            digest = db.exec_driver_sql(_LOCK, {"id": id}).first()
            return self._planned(db, digest, datetime.now(UTC)) if digest else None

    def _planned(self, db: Connection, digest: Any, now: datetime) -> list[Message] | None:
        """Decide anew, whatever was decided on its members. In quiet hours the digest stays open, and gathers on."""
        messages = self._decided(db, digest, now)
        if waits := [one.not_before for one in messages if one.not_before]:
            db.exec_driver_sql(_WAIT, {"id": digest.id, "at": min(waits)})
            return None
        db.exec_driver_sql(_CLOSE, {"id": digest.id, "lease": self._settings.notification_lease})
        facts = totals.read(db, digest.id, self._settings.site_url)
        if not facts:
            return []  # its members were sent on their own
        # Its messages are written down when it is closed, and stay the same ones.
        rows = store.read_all(db, [messages[0].key.for_all]) if digest.closed else store.plan(db, messages)
        skips = {one.key: one.skip for one in messages}
        left = {key: row for key, row in rows.items() if row.state in ("queued", "sending")}
        skipped = {row.id: why for key, row in left.items() if (why := skips.get(key, no_address(self._channel)))}
        open_messages.skip(db, skipped)
        return [
            replace(one, facts=facts, row=row)
            for one in messages
            if (row := left.get(one.key)) is not None and row.id not in skipped
        ]

    def _decided(self, db: Connection, digest: Any, now: datetime) -> list[Message]:
        """A message for each address of the digest's user, with the policy's decision; without an address, one."""
        person = contacts.look(db, [digest.user_id]).get(digest.user_id, Person(digest.user_id))
        notice, channel = DIGESTS[digest.template], self._channel
        key = Key(f"digest={digest.id}", channel, notice.template)
        message = Message(notice, channel, key, digest.id, digest.position)
        return decide(db, list(message.to(person, self._settings.secret)), self._settings.secret, now)
