"""Takes out of the recipients' tables what was erased of events, and a contact with all that belongs to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.events.personal import is_erased
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.entity_changes import erasures
from fundlyhub.processors.shared.last_writer_fields import Entity

WANTED = {"user": frozenset({"name", "email", "suspended", "deleted"})}
"""The fields of users that a contact has."""
LOCK = "SELECT 1 FROM contacts WHERE user_id = ANY (%(ids)s::uuid[]) ORDER BY user_id FOR UPDATE"
_NAMES = """
    name = (SELECT value #>> '{}' FROM entity_fields said
            WHERE said.kind = 'contact' AND said.id = contacts.user_id AND said.field = 'name'),
    email = (SELECT value #>> '{}' FROM entity_fields said
             WHERE said.kind = 'contact' AND said.id = contacts.user_id AND said.field = 'email')
"""
# What no event has set is the API service's, and the person's all the same.
_CONTACTS = f"UPDATE contacts SET {_NAMES} WHERE user_id = ANY (%(ids)s::uuid[])"  # noqa: S608  # our own constants
_WHOLE = f"""
    UPDATE contacts SET {_NAMES}, phone = NULL, locale = DEFAULT, time_zone = DEFAULT, quiet_from = NULL,
        quiet_until = NULL
    WHERE user_id = ANY (%(ids)s::uuid[])
"""  # noqa: S608
_GUESTS = """
    UPDATE gift_donors SET email = NULL, name = NULL
    WHERE position = ANY (%(positions)s::bigint[]) AND donation_id = ANY (%(donations)s::uuid[])
      AND (email IS NOT NULL OR name IS NOT NULL)
"""
_SIGN_INS = """
    DELETE FROM sign_ins WHERE user_id = ANY (%(ids)s::uuid[]) AND position = ANY (%(positions)s::bigint[])
"""
_BELONGINGS = (
    "DELETE FROM devices WHERE user_id = ANY (%(ids)s::uuid[])",
    "DELETE FROM preferences WHERE user_id = ANY (%(ids)s::uuid[])",
)


def erase(db: Connection, events: Sequence[Event]) -> None:
    """Take out what was erased of these events: names and addresses of contacts, guests of donations, sign-ins."""
    gone = [(Entity("contact", entity.id), field, write) for entity, field, write in erasures(events, WANTED)]
    if gone:
        ids = {"ids": array(sorted({entity.id for entity, _, _ in gone}))}
        db.exec_driver_sql(LOCK, ids)
        last_writer_fields.empty(db, gone)
        db.exec_driver_sql(_CONTACTS, ids)
    words = [event for event in events if is_erased(event)]
    if gifts := [
        (one.position, one.payload.donation_id) for one in words if isinstance(one.payload, DonationCompleted)
    ]:
        given = {"positions": array(at for at, _ in gifts), "donations": array(id for _, id in gifts)}
        db.exec_driver_sql(_GUESTS, given)
    if places := [(one.position, one.payload.user_id) for one in words if isinstance(one.payload, UserLoggedIn)]:
        given = {"positions": array(at for at, _ in places), "ids": array({id for _, id in places})}
        db.exec_driver_sql(_SIGN_INS, given)


def erase_contacts(db: Connection, users: Collection[UUID]) -> None:
    """Empty these contacts, also of what the API service wrote, and delete their devices and preferences."""
    ids = {"ids": array(sorted(users))}
    db.exec_driver_sql(LOCK, ids)
    for statement in (_WHOLE, *_BELONGINGS):
        db.exec_driver_sql(statement, ids)
