"""A letter as it goes out: in the recipient's language and time zone, with what mail programs want to know."""

from __future__ import annotations

from fundlyhub.addresses import ascii_url
from fundlyhub.channels.messages import Mail, Message, Push, Sms
from fundlyhub.processors.notifications.outgoing import Letter
from fundlyhub.processors.notifications.rendering.render import Reader, render
from fundlyhub.processors.notifications.unsubscribe import unsubscribe_url
from fundlyhub.settings import Settings


def compose(letter: Letter, settings: Settings) -> Message:
    """The message as it goes out, in the recipient's language and time zone."""
    person, notice, reference = letter.person, letter.notice, str(letter.row.id)
    leave = None
    if letter.channel == "email" and not notice.transactional and person.user_id:
        leave = unsubscribe_url(settings.public_url, person.user_id, notice.category, settings.secret)
    reader = Reader(person.name, person.locale, person.time_zone)
    rendered = render(
        notice.template, letter.channel, letter.facts, reader, site_url=settings.site_url, unsubscribe_url=leave,
        preferences_url=f"{settings.site_url.rstrip('/')}/settings/notifications",
    )  # fmt: skip
    match letter.channel:
        case "email":
            headers = _leaving(leave) if leave else {}
            return Mail(letter.address, rendered.subject, rendered.text, rendered.html or "", reference, headers)
        case "push":
            data = {"template": notice.template, "notification": reference}
            return Push(letter.address, rendered.subject, rendered.text, reference, data)
        case _:
            return Sms(letter.address, rendered.text, reference)


def _leaving(url: str) -> dict[str, str]:
    """What mail programs need for their own button (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{ascii_url(url)}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
