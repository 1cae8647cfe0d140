"""What an answer of a provider means: one table each, and errors in our own words alone.

Providers quote addresses, device tokens and texts in what they answer, so nothing of it is ever passed on but
numbers. Where an answer leaves open whether the message was taken, it is OutcomeUnknown: never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fundlyhub.errors import (
    AddressGone,
    OutcomeUnknown,
    Permanent,
    ProcessingError,
    ServiceRefuses,
    Snooze,
    Transient,
)

TIMEOUT = 10.0
"""Seconds that a provider has for each connect and each answer."""
REFUSED_PAUSE = 60.0
"""Seconds to wait after a service refused us."""
LIMITED_PAUSE = 30.0
"""Seconds to wait after one that says "too many", but not for how long."""
LONGEST_PAUSE = 3_600.0

Kind = type[ProcessingError]
Table = Mapping[int, Kind]

# Statuses that are in no table: below 500 the request was refused (Permanent), from 500 on nobody knows.
# 408 and 503 say that the request was not taken up; 500, 502 and 504 may come after it was.
# fmt: off
SENDGRID: Table = {
    401: ServiceRefuses,  # the key is wrong, or the plan's mails are used up
    403: ServiceRefuses,  # the key may not send, or the sender's address is not verified
    408: Transient,
    429: Snooze,
    503: Transient,
}
FCM: Table = {
    401: ServiceRefuses,  # the service account, or Apple's or the web's key in Firebase
    403: ServiceRefuses,  # it may not send; see FCM_CODES for what concerns one device
    408: Transient,
    429: Snooze,
    503: Transient,
}
FCM_CODES: Mapping[str, Kind] = {
    "UNREGISTERED": AddressGone,        # with 404; without this code, it is the project that is not there
    "SENDER_ID_MISMATCH": AddressGone,  # with 403; the token belongs to another project
}
TWILIO: Table = {
    401: ServiceRefuses,  # account or token are wrong
    403: ServiceRefuses,  # the account is suspended or closed
    408: Transient,
    429: Snooze,
    503: Transient,
}
TWILIO_CODES: Mapping[int, Kind] = {
    21211: AddressGone,  # no number
    21610: AddressGone,  # its owner opted out
    21614: AddressGone,  # no mobile number
}
SMTP: Table = {               # other codes: 4xx Transient, 5xx Permanent
    530: ServiceRefuses,      # it wants a login
    534: ServiceRefuses,      # it wants a better way of logging in
    535: ServiceRefuses,      # user or password are wrong
    538: ServiceRefuses,      # it wants TLS
}
SMTP_RECIPIENT: Table = {     # the same, of the recipient's address
    **SMTP,
    550: AddressGone,         # no such mailbox
    551: AddressGone,         # it has moved
    553: AddressGone,         # no mailbox can have this name
}
# fmt: on


def refusal(
    provider: str, table: Table, status: int, *, retry_after: str | None = None, kind: Kind | None = None
) -> ProcessingError:
    """The error for a status; ``kind`` where the answer's own code says more than the table."""
    kind = kind or table.get(status) or (OutcomeUnknown if status >= 500 or status < 300 else Permanent)
    return _error(kind, f"{provider} answered {status}", retry_after)


def smtp_refusal(table: Table, code: int, step: str) -> ProcessingError:
    """The error for an SMTP reply to one step of the conversation, before the mail was taken."""
    return _error(table.get(code) or (Permanent if 500 <= code < 600 else Transient), f"smtp answered {code} to {step}")


def not_sent(provider: str, error: BaseException) -> Transient:
    """The request surely did not get there."""
    return Transient(f"{provider} cannot be reached: {type(error).__name__}")


def unknown(provider: str, error: BaseException) -> OutcomeUnknown:
    """The request may have got there; what came back is an error, or nothing."""
    return OutcomeUnknown(f"{provider} gave no answer: {type(error).__name__}")


def unreadable(provider: str, status: int) -> OutcomeUnknown:
    """It answered that all is well, but not in its own words: perhaps it was not the provider that answered."""
    return OutcomeUnknown(f"{provider} answered {status}, and what cannot be read")


def seconds_of(retry_after: str | None, *, now: datetime | None = None) -> float:
    """What a Retry-After asks for, which is seconds or an HTTP date, between a second and an hour."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            seconds = LIMITED_PAUSE
    return min(max(seconds, 1.0), LONGEST_PAUSE)


def _error(kind: Kind, reason: str, retry_after: str | None = None) -> ProcessingError:
    if kind is Snooze:
        return Snooze(reason, seconds=seconds_of(retry_after))
    if kind is ServiceRefuses:
        return ServiceRefuses(reason, seconds=REFUSED_PAUSE)
    return kind(reason)
