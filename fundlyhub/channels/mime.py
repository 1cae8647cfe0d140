"""A mail as RFC 5322 has it: what SMTP is handed and what an .eml file holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, localtime, parseaddr

from email_validator import EmailNotValidError, validate_email

from fundlyhub.channels.messages import Mail
from fundlyhub.errors import Permanent

_NAME = re.compile(r"[!-9;-~]+")
_OURS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding", "content-disposition", "received", "dkim-signature"}
)


def mailbox(text: str) -> str:
    """An address that is one, its domain in ASCII where that is possible. Raises Permanent."""
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise Permanent("the address is no e-mail address") from None
    return valid.ascii_email or valid.normalized


def one_line(text: str) -> str:
    """A text for a header: a line break in it would begin another header."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def extra_headers(mail: Mail) -> Mapping[str, str]:
    """The headers that a mail brings along, each on one line. Raises Permanent for one that is not its own."""
    for name in mail.headers:
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise Permanent("a header of the mail has a name that is not allowed")
    return {name: one_line(value) for name, value in mail.headers.items()}


def written(mail: Mail, sender: str) -> tuple[str, bytes]:
    """The recipient's address, and the whole mail, its lines ending in CR LF. Raises Permanent.

    Its Message-ID is made of the reference: a copy that was sent twice can be told by it.
    """
    to = mailbox(mail.to)
    try:
        return to, _message(mail, sender, to).as_bytes()
    except (ValueError, MessageError, IndexError):
        raise Permanent("the mail cannot be written down") from None


def _message(mail: Mail, sender: str, to: str) -> EmailMessage:
    name, address = parseaddr(sender)
    # Encoded to ASCII, since not every server on the way takes more; only an address may need otherwise.
    policy = (SMTP if to.isascii() else SMTPUTF8).clone(cte_type="7bit")
    message = EmailMessage(policy)
    message["From"] = Address(display_name=name, addr_spec=address)
    message["To"] = to  # as a text, since Address takes ASCII alone; that it is one address is known
    message["Subject"] = one_line(mail.subject)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9-]', '-', mail.reference)}@{address.rpartition('@')[2]}>"
    for key, value in extra_headers(mail).items():
        message[key] = value
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
