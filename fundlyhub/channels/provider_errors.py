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
    Limited,
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

# What each answer speaks of decides what follows: this address (AddressGone), this message (Permanent), or us, our
# account and our sender (ServiceRefuses). In doubt it is not the address: to give one up is for good.
# Statuses that are in no table: a redirect leads to no provider (ServiceRefuses), below 500 the message was refused
# (Permanent), from 500 on nobody knows. 408 and 503 say that the request was not taken up; 500, 502 and 504 may come
# after it was.
# fmt: off
_SERVICE: Table = {
    401: ServiceRefuses,  # the credentials are wrong; of SendGrid also: the plan's mails are used up
    403: ServiceRefuses,  # we may not send, the sender is not verified, or the account is suspended
    404: ServiceRefuses,  # our address of the provider, our account or our project is wrong
    405: ServiceRefuses,  # it is not the provider's door
    407: ServiceRefuses,  # a proxy wants a login
    408: Transient,
    429: Snooze,
    503: Transient,
}
SENDGRID: Table = {**_SERVICE}
FCM: Table = {**_SERVICE}
FCM_CODES: Mapping[tuple[int, str], Kind] = {
    (404, "UNREGISTERED"): AddressGone,           # this device; a 404 without it is our project
    (403, "SENDER_ID_MISMATCH"): ServiceRefuses,  # our sender: with another project's key every device answers it
    (400, "INVALID_ARGUMENT"): Permanent,         # this message, or a token that was cut: FCM does not say which
}
TWILIO: Table = {**_SERVICE}
TWILIO_CODES: Mapping[int, Kind] = {              # with 400 or 403; other codes as the status says
    21211: AddressGone,     # this address: no number
    21614: AddressGone,     # this address: no mobile number
    21610: AddressGone,     # this address: its owner opted out, see UNWANTED
    21408: Permanent,       # no messages to this country by our account's settings
    21612: Permanent,       # no way from our sender to this number
    21212: ServiceRefuses,  # our sender is no number
    21603: ServiceRefuses,  # our sender is missing
    21606: ServiceRefuses,  # our sender cannot send text messages, or is not ours
    21659: ServiceRefuses,  # our sender is no number of Twilio
    21660: ServiceRefuses,  # our sender is another account's
    30002: ServiceRefuses,  # our account is suspended
    21611: Snooze,          # our sender's queue is full
    30001: Snooze,          # our account's queue is full
}
UNWANTED = frozenset({21610})
"""Codes by which an address is there, but its owner wants no messages of ours."""
# fmt: on


def refusal(
    provider: str, table: Table, status: int, *, retry_after: str | None = None, kind: Kind | None = None,
    code: int | str | None = None,
) -> ProcessingError:  # fmt: skip
    """The error for a status; ``kind`` where the answer's own ``code`` says more than the table."""
    said = f"{provider} answered {status}" + (f" ({code})" if kind and code else "")
    made = error(kind or table.get(status) or _unlisted(status), said, retry_after)
    return AddressGone(said, unwanted=True) if kind is AddressGone and code in UNWANTED else made


def _unlisted(status: int) -> Kind:
    if 300 <= status < 400:
        return ServiceRefuses
    return Permanent if 400 <= status < 500 else OutcomeUnknown


def fcm_kind(status: int, code: str) -> Kind | None:
    """What FCM's own code says beyond its status."""
    return FCM_CODES.get((status, code))


def twilio_kind(status: int, code: int) -> Kind | None:
    """What Twilio's own code says beyond its status."""
    return TWILIO_CODES.get(code) if status in (400, 403) else None


def not_sent(provider: str, cause: BaseException) -> Transient:
    """The request surely did not get there."""
    return Transient(f"{provider} cannot be reached: {type(cause).__name__}")


def unknown(provider: str, cause: BaseException) -> OutcomeUnknown:
    """The request may have got there; what came back is an error, or nothing."""
    return OutcomeUnknown(f"{provider} gave no answer: {type(cause).__name__}")


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


def error(kind: Kind, reason: str, retry_after: str | None = None) -> ProcessingError:
    """An error of this kind, with the pause that it asks for."""
    if kind is Snooze:
        return Limited(reason, seconds=seconds_of(retry_after))
    if kind is ServiceRefuses:
        return ServiceRefuses(reason, seconds=REFUSED_PAUSE)
    return kind(reason)
