"""Sending a message again on request: it is sent like any message, and the request is recorded (`resends`).

The message's row becomes `queued` again, and its event is run again (`processing/reruns`): the event's other messages
are settled, and stay so. A crash in the middle is handled like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.audited import named, reasoned
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, TEMPLATES
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.search import Found
from fundlyhub.processors.notifications.message import NOBODY
from fundlyhub.processors.notifications.policy import skip_reason
from fundlyhub.processors.shared.address_hashes import address_hashes

PAUSE = timedelta(hours=1)
"""Within this time a message is sent again a second time only if the operator insists."""

_RESENT = "SELECT max(at), bool_or(token = %(token)s) FROM resends WHERE notification_id = %(id)s"
_RESENDS = """
    SELECT at, who, reason, state, sent_at FROM resends WHERE notification_id = %(id)s ORDER BY at DESC LIMIT %(limit)s
"""
_SUPPRESSION = "SELECT reason FROM suppressions WHERE channel = %(channel)s AND address_hash = ANY (%(hashes)s::text[])"
_NOTE = """
    INSERT INTO resends (token, notification_id, who, reason, state, state_reason, sent_at, provider_message_id)
    SELECT %(token)s, id, %(who)s, %(why)s, state, reason, sent_at, provider_message_id FROM notifications
    WHERE id = %(id)s
    ON CONFLICT DO NOTHING
"""
_REOPEN = """
    UPDATE notifications
    SET state = 'queued', reason = NULL, token = NULL, lease_until = NULL, not_before = NULL, sent_at = NULL,
        provider_message_id = NULL, changed_at = clock_timestamp()
    WHERE id = %(id)s AND state = %(state)s AND changed_at = %(changed_at)s
"""


class Resent(NamedTuple):
    """One time that a message was sent again: when, by whom and why, and how it stood before."""

    at: datetime
    who: str
    reason: str
    state: str
    sent_at: datetime | None


class Changed(Exception):
    """The message has changed since it was looked at."""


def resends(db: Connection, id: UUID, limit: int = 50) -> list[Resent]:
    """The times that a message was sent again, the newest first."""
    return [Resent(*row) for row in db.exec_driver_sql(_RESENDS, {"id": id, "limit": limit})]


def processor_of(found: Found) -> str:
    """The processor that sends it."""
    return f"{found.channel}_notification"


def obstacle(
    db: Connection, found: Found, secret: bytes, token: str, now: datetime, *, run: Callable[[], str | None],
    insist: bool,
) -> str | None:  # fmt: skip
    """Why a message cannot be sent again, if so; ``run`` says why its event cannot be run again."""
    notice = BY_TEMPLATE.get(found.template)
    if notice is None:
        digest = found.template in TEMPLATES
        return "it sums up other messages: send these" if digest else "this release has no such message"
    if found.recipient == NOBODY:
        return "it had no recipient"
    if notice.for_many:
        return "it went to many: it is not sent again to one of them"
    if found.state in ("queued", "sending"):
        return "it is on its way"
    if why := run():
        return why
    latest, same = db.exec_driver_sql(_RESENT, {"id": found.id, "token": token}).one()
    if same:
        return "it was sent again with this token"
    if latest is not None and now - latest < PAUSE and not insist:
        return f"it was sent again at {latest.astimezone(UTC):%Y-%m-%d %H:%M} UTC: say --again if that is what you want"
    return _skip_reason(db, found, secret)


def _skip_reason(db: Connection, found: Found, secret: bytes) -> str | None:
    """Why a new message to this recipient would be skipped now, if so."""
    notice, person, address = BY_TEMPLATE[found.template], Person(found.user_id), found.recipient
    hashes: Sequence[str] = [found.recipient]
    if found.user_id is not None:
        person = contacts.look(db, [found.user_id]).get(found.user_id, person)
        known = {one: address_hashes(found.channel, one, secret) for one in person.addresses(found.channel)}
        if found.channel == "push":
            known = {one: hashes for one, hashes in known.items() if found.recipient in hashes}
        address, hashes = next(iter(known.items()), ("", ()))
    suppression = db.exec_driver_sql(_SUPPRESSION, {"channel": found.channel, "hashes": list(hashes)}).scalar()
    skip = skip_reason(notice, found.channel, person, address or None, suppression, 0)
    if skip and suppression:
        return f"{skip}: see `fundlyhub suppressions list`, and lift it first"
    return skip


def reopen(db: Connection, found: Found, *, who: str, reason: str, token: str) -> None:
    """Queue a settled message again, and record who asked for it.

    Raises Changed when the message has changed since: then roll back.
    """
    note = {"id": found.id, "token": token, "who": named(who), "why": reasoned(reason)}
    given = {"id": found.id, "state": found.state, "changed_at": found.changed_at}
    if not (db.exec_driver_sql(_NOTE, note).rowcount and db.exec_driver_sql(_REOPEN, given).rowcount):
        raise Changed()
