"""Who is meant by what an operator gives: a user's id, an e-mail address or a phone number."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.addresses import canonical_email, canonical_phone
from fundlyhub.errors import WrongUse
from fundlyhub.people.person import Person

_BY_EMAIL = "SELECT user_id, email FROM contacts WHERE lower(email) = lower(%(given)s) OR email LIKE %(local)s"
_BY_PHONE = """
    SELECT user_id, phone FROM contacts
    WHERE right(regexp_replace(phone, '[^0-9]', '', 'g'), 6) = right(%(given)s, 6)
"""
_ADDRESSES = "SELECT email, phone FROM contacts WHERE user_id = %(id)s"


def person_of(app: Connection, given: str, secret: bytes) -> Person:
    """The person with this id or address: a user with all addresses of the contact, or a guest.

    Raises WrongUse for what is neither, and for an address that several users have.
    """
    person, given = Person(secret), given.strip()
    users = _users(app, given)
    if len(users) > 1:
        raise WrongUse(f"{len(users)} users have this address: name one of them by its id")
    if not _is_id(given):
        person.add_address(given)
    for user in users:
        person.add_id(user)
        for addresses in app.exec_driver_sql(_ADDRESSES, {"id": user}):
            for address in filter(None, addresses):
                person.add_address(address)
    return person


def _users(app: Connection, given: str) -> list[UUID]:
    if _is_id(given):
        return [UUID(given)]
    if "@" in given:
        wanted = canonical_email(given)
        local = given.rpartition("@")[0].replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        rows = app.exec_driver_sql(_BY_EMAIL, {"given": given, "local": f"{local}@%"})
        return sorted({id for id, email in rows if canonical_email(email) == wanted})
    number = canonical_phone(given)
    if len(number) < 7 or not number.removeprefix("+").isdigit():
        raise WrongUse("give a user's id, an e-mail address or a phone number")
    rows = app.exec_driver_sql(_BY_PHONE, {"given": number})
    return sorted({id for id, phone in rows if canonical_phone(phone) == number})


def _is_id(given: str) -> bool:
    with suppress(ValueError):
        return bool(str(UUID(given)))
    return False
