"""What an SMTP reply means, by its enhanced status code (RFC 3463, RFC 5248), or else by the step of the session.

A server refuses to relay with the same 550 as it refuses an unknown mailbox. So a 5xx without an enhanced code never
suppresses an address, and with one only if the code names the recipient's mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from fundlyhub.channels.provider_errors import Kind, error
from fundlyhub.errors import AddressGone, Permanent, ProcessingError, ServiceRefuses, Transient

Step = Literal["the greeting", "MAIL", "RCPT", "DATA", "the mail"]
"""The step of the session; ``the greeting`` is everything before MAIL."""

# By subject and detail, or else by subject; a code in neither table is Permanent.
# fmt: off
ENHANCED: Mapping[str, Kind] = {
    "1.1": AddressGone,      # no such mailbox
    "1.2": AddressGone,      # no such domain
    "1.3": AddressGone,      # no address
    "1.6": AddressGone,      # moved, without a new address
    "1.10": AddressGone,     # the domain takes no mail (RFC 7505)
    "1.7": ServiceRefuses,   # the sender's address: it is the same in each mail
    "1.8": ServiceRefuses,   # the sender's domain
    "3.2": ServiceRefuses,   # the server takes no mail now
    "3.5": ServiceRefuses,   # the server is not set up for this
    "4.3": ServiceRefuses,   # the server's directory fails
    "4.5": ServiceRefuses,   # the server has too much to do
    "4.6": ServiceRefuses,   # a mail loop of the server
    "7": ServiceRefuses,     # we may not send: relaying, authentication, a blocklist
}
PLAIN: Mapping[int, Kind] = {
    521: ServiceRefuses,     # the server takes no mail (RFC 7504)
    530: ServiceRefuses,     # authentication required
    534: ServiceRefuses,     # a stronger authentication required
    535: ServiceRefuses,     # wrong user or password
    538: ServiceRefuses,     # TLS required
}
# At MAIL only the sender is known, which is the same in each mail. These codes can still be this mail's own fault.
_OF_THE_MAIL = frozenset({"2.3", "3.4", "6"})
_OF_THE_MAIL_PLAIN = frozenset({552, 555})
# fmt: on

UNDEFINED = frozenset({"0.0", "1.0"})
"""Enhanced codes that say no more than the plain code."""

_CODE = re.compile(r"5\.([0-9]{1,3})\.([0-9]{1,3})(?![.0-9])")


def refused(step: Step, code: int, text: bytes | str) -> ProcessingError:
    """The error for a refusing reply; only the enhanced code of its text is kept."""
    detail = enhanced(text) if 500 <= code < 600 else None
    said = f"{code} 5.{detail}" if detail else str(code)
    return error(meaning(step, code, detail), f"smtp answered {said} to {step}")


def meaning(step: Step, code: int, detail: str | None) -> Kind:
    """What a reply means at its step; ``detail`` is its enhanced code without the class, or None. Pure."""
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
    """Whether an enhanced code says that the recipient's mailbox does not exist. Pure."""
    return ENHANCED.get(detail) is AddressGone


def enhanced(text: bytes | str) -> str | None:
    """The enhanced code of a reply without its class; None where its lines have different codes or none."""
    lines = (text.decode(errors="replace") if isinstance(text, bytes) else text).splitlines()
    found = {f"{int(match[1])}.{int(match[2])}" for line in lines if (match := _CODE.match(line))}
    return found.pop() if len(found) == 1 else None
