"""Digests that are due: closed, judged, written into the ledger in one transaction, and sent like any message.

A kill at any step leaves a row that is due again: it goes on from what the ledger says of the digest's own messages.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from fundlyhub.channels.messages import ChannelName
from fundlyhub.errors import Snooze
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import audience, open_messages
from fundlyhub.processors.notifications.catalogue import DIGESTS, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.digests import totals
from fundlyhub.processors.notifications.ledger import store
from fundlyhub.processors.notifications.ledger.state import Row
from fundlyhub.processors.notifications.ledger.store import Key, Place, Planned
from fundlyhub.processors.notifications.outgoing import Letter
from fundlyhub.processors.notifications.policy import Verdict, judge
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
# Until the lease ends nobody else looks at it; if its worker dies, somebody does then.
_CLOSE = """
    UPDATE digests SET closed_at = coalesce(closed_at, clock_timestamp()),
                       due_at = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE id = %(id)s
"""
_WAIT = "UPDATE digests SET due_at = %(at)s WHERE id = %(id)s"
# When the next of its messages may be sent, but not at once; settled when none is open.
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
        while time.monotonic() < end and (ids := self._due()):
            try:
                self._sending.check()
            except Snooze:  # nothing can be sent: all of them stay due
                return
            ours = {id: letters for id in ids if (letters := self._letters(id)) is not None}
            if not ours:
                return  # they wait for quiet hours to end, or other workers are at them
            for _ in self._sending.send([letter for letters in ours.values() for letter in letters], end):
                pass  # each waits on its own
            with self._engine.begin() as db:
                db.exec_driver_sql(_LOOK_AGAIN, {"ids": sorted(ours)})

    def _due(self) -> Sequence[UUID]:
        with self._engine.begin() as db:  # asked after each batch: a rollback would make psycopg forget statements
            return db.exec_driver_sql(_DUE, {"channel": self._channel, "limit": PAGE}).scalars().all()

    def _letters(self, id: UUID) -> list[Letter] | None:
        """The messages of a digest that may be sent; None when it waits, or another worker is at it."""
        with self._engine.begin() as db:
            digest = db.exec_driver_sql(_LOCK, {"id": id}).first()
            return self._planned(db, digest, datetime.now(UTC)) if digest else None

    def _planned(self, db: Connection, digest: Any, now: datetime) -> list[Letter] | None:
        """Judged as of now, whatever was held then. In quiet hours it stays open, and gathers on."""
        notice = DIGESTS[digest.template]
        person = contacts.look(db, [digest.user_id]).get(digest.user_id, Person(digest.user_id))
        addresses = self._addresses(person)
        verdicts = self._verdicts(db, notice, person, addresses, now)
        if waits := [one.not_before for one in verdicts.values() if one.skip is None and one.not_before]:
            db.exec_driver_sql(_WAIT, {"id": digest.id, "at": min(waits)})
            return None
        db.exec_driver_sql(_CLOSE, {"id": digest.id, "lease": self._settings.notification_lease})
        key = Key(f"digest={digest.id}", self._channel, notice.template)
        told = totals.read(db, digest.id, self._settings.site_url)
        if not told:
            return []  # all that it was opened for had been told otherwise
        rows = self._rows(db, digest, key, verdicts)
        left = {place.recipient: row for place, row in rows.items() if row.state in ("queued", "sending")}
        gone = Verdict("no device" if self._channel == "push" else "no address")
        skips = {recipient: verdicts.get(recipient, gone).skip for recipient in left}
        open_messages.skip(db, {left[recipient].id: why for recipient, why in skips.items() if why})
        return [
            Letter(notice, self._channel, None, row, person, addresses[recipient], told)
            for recipient, row in left.items()
            if not skips[recipient]
        ]

    def _rows(self, db: Connection, digest: Any, key: Key, verdicts: Mapping[str, Verdict]) -> dict[Place, Row]:
        """Its messages in the ledger: written down when it is closed, and the same ones ever after."""
        if digest.closed:
            return store.read_all(db, [key])
        planned = [
            Planned(Place(key, recipient), digest.id, digest.position, False, digest.user_id, verdict.skip)
            for recipient, verdict in verdicts.items()
        ]
        return store.plan(db, planned)

    def _addresses(self, person: Person) -> dict[str, str]:
        """The addresses by what the ledger calls them."""
        found = audience.places([person], self._channel, self._settings.secret)
        return {recipient: address for (_, recipient), address in found.items()}

    def _verdicts(
        self, db: Connection, notice: Notice, person: Person, addresses: Mapping[str, str], now: datetime
    ) -> dict[str, Verdict]:
        """By what the ledger calls an address; the user stands for an address that there is not."""
        suppressed = contacts.suppressed(db, self._channel, set(addresses.values()), self._settings.secret)
        places: Mapping[str, str | None] = addresses or {str(person.user_id): None}
        return {
            recipient: judge(notice, self._channel, person, address, suppressed.get(address or ""), 0, now)
            for recipient, address in places.items()
        }
