"""From a message to what its channel sends: texts, address, and the headers that mail programs want."""

from __future__ import annotations

from dataclasses import replace

from fundlyhub.addresses import ascii_url
from fundlyhub.channels.messages import Mail, Push, Sms
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.message import Message
from fundlyhub.processors.notifications.rendering.render import render
from fundlyhub.processors.notifications.unsubscribe import unsubscribe_url
from fundlyhub.settings import Settings


def compose(message: Message, settings: Settings) -> Mail | Push | Sms:
    """The mail, push message or SMS, in the recipient's language and time zone."""
    notice, address, reference = message.notice, message.address or "", str(message.id)
    person = reader_of(notice, message.person)
    unsubscribe = None
    if message.channel == "email" and not notice.transactional and person.user_id:
        unsubscribe = unsubscribe_url(settings.public_url, person.user_id, notice.category, settings.secret)
    subject, text, html = render(
        notice.template, message.channel, message.facts, person, site_url=settings.site_url,
        unsubscribe_url=unsubscribe, preferences_url=f"{settings.site_url.rstrip('/')}/settings/notifications",
    )  # fmt: skip
    match message.channel:
        case "email":
            headers = _unsubscribe_headers(unsubscribe) if unsubscribe else {}
            return Mail(address, subject, text, html, reference, headers)
        case "push":
            data = {"template": notice.template, "notification": reference}
            return Push(address, subject, text, reference, data)
        case _:
            return Sms(address, text, reference)


def reader_of(notice: Notice, person: Person) -> Person:
    """The recipient as the texts may name them: not at all where the name may be the words of a stranger."""
    return replace(person, name=None) if person.user_id is None or not notice.greets else person


def _unsubscribe_headers(url: str) -> dict[str, str]:
    """What mail programs need for their own unsubscribe button (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{ascii_url(url)}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
