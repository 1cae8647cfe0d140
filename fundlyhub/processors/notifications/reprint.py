"""A message once more as its recipient saw it: rendered anew, nothing written, nothing sent."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.errors import WrongState
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationRefunded
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, TEMPLATES
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.search import Found
from fundlyhub.processors.notifications.planning import refunds
from fundlyhub.processors.notifications.planning.content import content_of
from fundlyhub.processors.notifications.planning.lookup import Gift, Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.planning.refunds import Telling
from fundlyhub.processors.notifications.rendering.compose import reader_of
from fundlyhub.processors.notifications.rendering.render import render
from fundlyhub.settings import Settings


class Reprint(NamedTuple):
    """The texts of a message; a part that its channel does not have is empty."""

    subject: str
    text: str
    html: str


def reprint(db: Connection, found: Found, event: Event, settings: Settings) -> Reprint:
    """Render a message of the ledger anew, from its event and from what is known today: names and language may differ.

    ``db`` is a connection to the App DB, which is only read. Its link to unsubscribe leads nowhere: the real one is the
    recipient's. Raises WrongState when it cannot be rendered.
    """
    notice = BY_TEMPLATE.get(found.template)
    if notice is None:
        digest = found.template in TEMPLATES
        raise WrongState("it sums up other messages: look at these" if digest else "this release has no such message")
    try:
        facts, said = content_of(found.template, event, _Reading(db, settings.site_url))
    except (Missing, Unwanted) as error:
        raise WrongState(f"it cannot be rendered: {error}") from None
    person = said if isinstance(said, Person) else Person(found.user_id)
    if found.user_id is not None:
        person = contacts.look(db, [found.user_id]).get(found.user_id, replace(person, user_id=found.user_id))
    leave = None if notice.transactional or person.user_id is None else f"{settings.public_url.rstrip('/')}/unsubscribe"
    return Reprint(
        *render(
            notice.template,
            found.channel,
            facts,
            reader_of(notice, person),
            site_url=settings.site_url,
            unsubscribe_url=leave if found.channel == "email" else None,
            preferences_url=f"{settings.site_url.rstrip('/')}/settings/notifications",
        )
    )


class _Reading(Lookup):
    """Lookups for a message that was decided on long ago: nothing is judged again, and nothing written."""

    def refund(self, event: Event, payload: DonationRefunded, gift: Gift) -> Telling:
        telling = refunds.find(self._db, event, payload)
        if telling is None:
            raise Missing("refund not written down")
        return telling

    def hold(self, event: Event, reason: str) -> None:
        """A person has decided."""

    def refuse_overtaken(self, event: Event) -> None:
        """It was not, when it was sent."""
