"""What an SMTP reply means: its enhanced status code decides (RFC 3463, RFC 5248), and where it has none, its step.

A relay refuses us with the same 550 with which it says that a mailbox is not there. So a 5xx without an enhanced
code never speaks against an address, and of those with one only what names the recipient's mailbox does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from fundlyhub.channels.provider_errors import Kind, error
from fundlyhub.errors import AddressGone, Permanent, ProcessingError, ServiceRefuses, Transient

Step = Literal["the greeting", "MAIL", "RCPT", "DATA", "the mail"]
"""Where in the conversation a reply comes; ``the greeting`` is all that comes before a mail."""

# Subject and detail, else the subject alone; what is in neither table is Permanent.
# fmt: off
ENHANCED: Mapping[str, Kind] = {
    "1.1": AddressGone,      # no such mailbox
    "1.2": AddressGone,      # no such domain
    "1.3": AddressGone,      # no address
    "1.6": AddressGone,      # moved, nobody knows where to
    "1.10": AddressGone,     # the domain takes no mail (RFC 7505)
    "1.7": ServiceRefuses,   # the sender's address: it is the same in each mail
    "1.8": ServiceRefuses,   # the sender's domain
    "3.2": ServiceRefuses,   # the server takes no mail now
    "3.5": ServiceRefuses,   # the server is not set up for this
    "4.3": ServiceRefuses,   # the server's directory fails
    "4.5": ServiceRefuses,   # the server has too much to do
    "4.6": ServiceRefuses,   # the server's mails go in a circle
    "7": ServiceRefuses,     # we may not send: relaying, authentication, a list of banned senders
}
PLAIN: Mapping[int, Kind] = {
    521: ServiceRefuses,     # the server takes no mail (RFC 7504)
    530: ServiceRefuses,     # it wants a login
    534: ServiceRefuses,     # it wants a better way of logging in
    535: ServiceRefuses,     # user or password are wrong
    538: ServiceRefuses,     # it wants TLS
}
# At MAIL only the sender is known, which is the same in each mail; what may be this mail's own fault is here.
_OF_THE_MAIL = frozenset({"2.3", "3.4", "6"})
_OF_THE_MAIL_PLAIN = frozenset({552, 555})
# fmt: on

UNDEFINED = frozenset({"0.0", "1.0"})
"""Enhanced codes that say no more than a plain reply."""

_CODE = re.compile(r"5\.([0-9]{1,3})\.([0-9]{1,3})(?![.0-9])")


def refused(step: Step, code: int, text: bytes | str) -> ProcessingError:
    """The error for a reply that takes no mail; nothing of its text is kept but the enhanced code."""
    detail = enhanced(text) if 500 <= code < 600 else None
    said = f"{code} 5.{detail}" if detail else str(code)
    return error(meaning(step, code, detail), f"smtp answered {said} to {step}")


def meaning(step: Step, code: int, detail: str | None) -> Kind:
    """What a reply means at its step; ``detail`` is its enhanced code without the class, if it has one. Pure."""
    if not 500 <= code < 600:
        return Transient
    subject = detail.partition(".")[0] if detail else ""
    if step == "the greeting":
        return ServiceRefuses
    if step == "MAIL":
        own = bool({detail, subject} & _OF_THE_MAIL) if detail else code in _OF_THE_MAIL_PLAIN
        return Permanent if own else ServiceRefuses
    return ENHANCED.get(detail or "") or ENHANCED.get(subject) or PLAIN.get(code, Permanent)


def names_the_mailbox(detail: str) -> bool:
    """Whether an enhanced code says that nobody is at the recipient's address. Pure."""
    return ENHANCED.get(detail) is AddressGone


def enhanced(text: bytes | str) -> str | None:
    """The enhanced code of a reply without its class: what its lines begin with, unless they differ."""
    lines = (text.decode(errors="replace") if isinstance(text, bytes) else text).splitlines()
    found = {f"{int(match[1])}.{int(match[2])}" for line in lines if (match := _CODE.match(line))}
    return found.pop() if len(found) == 1 else None
