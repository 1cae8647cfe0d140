"""What a provider's answer means: one table per provider, and errors in our own words.

Providers quote addresses, device tokens and texts in their answers, so only numbers and codes are kept. An answer that
leaves open whether the message was accepted is OutcomeUnknown.
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
"""Seconds for each connect and for each answer of a provider."""
REFUSED_PAUSE = 60.0
"""Seconds to wait after a service refused us."""
LIMITED_PAUSE = 30.0
"""Seconds to wait after a rate limit without a Retry-After."""
LONGEST_PAUSE = 3_600.0

Kind = type[ProcessingError]
Table = Mapping[int, Kind]

# An answer is about this address (AddressGone), about this message (Permanent), or about us, our account or our sender
# (ServiceRefuses). In doubt it is not about the address, since an address is suppressed for good.
# A status outside the table: 3xx means that the address is no provider's (ServiceRefuses), 4xx that the message was
# refused (Permanent), and 5xx is unknown. After 408 and 503 the request was not processed; after 500, 502 and 504 it
# may have been.
# fmt: off
_SERVICE: Table = {
    401: ServiceRefuses,  # the credentials are wrong; of SendGrid also: the plan's mails are used up
    403: ServiceRefuses,  # we may not send, the sender is not verified, or the account is suspended
    404: ServiceRefuses,  # our address of the provider, our account or our project is wrong
    405: ServiceRefuses,  # our address of the provider is wrong
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
"""Codes for an address whose owner has opted out of our messages."""
# fmt: on


def refusal(
    provider: str, table: Table, status: int, *, retry_after: str | None = None, kind: Kind | None = None,
    code: int | str | None = None,
) -> ProcessingError:  # fmt: skip
    """The error for a status; ``kind`` is given where the answer's own ``code`` overrides the table."""
    said = f"{provider} answered {status}" + (f" ({code})" if kind and code else "")
    made = error(kind or table.get(status) or _unlisted(status), said, retry_after)
    return AddressGone(said, unwanted=True) if kind is AddressGone and code in UNWANTED else made


def _unlisted(status: int) -> Kind:
    if 300 <= status < 400:
        return ServiceRefuses
    return Permanent if 400 <= status < 500 else OutcomeUnknown


def fcm_kind(status: int, code: str) -> Kind | None:
    """The kind that FCM's own code overrides the status with."""
    return FCM_CODES.get((status, code))


def twilio_kind(status: int, code: int) -> Kind | None:
    """The kind that Twilio's own code overrides the status with."""
    return TWILIO_CODES.get(code) if status in (400, 403) else None


def not_sent(provider: str, cause: BaseException) -> Transient:
    """The error for a request that certainly did not arrive."""
    return Transient(f"{provider} cannot be reached: {type(cause).__name__}")


def unknown(provider: str, cause: BaseException) -> OutcomeUnknown:
    """The error for a request that may have arrived, without an answer that says so."""
    return OutcomeUnknown(f"{provider} gave no answer: {type(cause).__name__}")


def unreadable(provider: str, status: int) -> OutcomeUnknown:
    """The error for a success that lacks what the provider always sends: a proxy may have answered."""
    return OutcomeUnknown(f"{provider} answered {status}, and what cannot be read")


def seconds_of(retry_after: str | None, *, now: datetime | None = None) -> float:
    """Seconds to wait for a Retry-After header (seconds or an HTTP date), from one second to one hour."""
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
    """An error of this kind, with its time to wait."""
    if kind is Snooze:
        return Limited(reason, seconds=seconds_of(retry_after))
    if kind is ServiceRefuses:
        return ServiceRefuses(reason, seconds=REFUSED_PAUSE)
    return kind(reason)
