"""Twilio's status callbacks: is it Twilio, and what does it say of a text message."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl
from uuid import UUID

from fundlyhub.errors import WrongUse
from fundlyhub.processors.hashing import address_hash
from fundlyhub.processors.notifications.feedback import Kind, Word
from fundlyhub.webhooks.refusals import Refusal

SIGNATURE = "x-twilio-signature"

_KINDS: Mapping[str, Kind] = {"delivered": "delivered", "undelivered": "undelivered", "failed": "undelivered"}
# https://www.twilio.com/docs/api/errors: unknown destination, landline or unreachable carrier, opted out.
_GONE = frozenset({"30005", "30006", "21610"})


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises Refusal when it cannot be read."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=200))
    except ValueError:
        raise Refusal(400, "the body is no form") from None


def verify(token: str, url: str, form: Mapping[str, str], signature: str) -> None:
    """Raise Refusal unless Twilio signed this form for this address."""
    try:
        from twilio.request_validator import RequestValidator
    except ImportError:
        raise WrongUse('Twilio needs its extra: pip install "fundlyhub[twilio]"') from None
    if not RequestValidator(token).validate(url, dict(form), signature):
        raise Refusal(403, "the signature is not Twilio's")


def word(notification: str, form: Mapping[str, str], secret: bytes) -> Word | None:
    """What a callback says of a message of ours; None when it says nothing new."""
    kind = _KINDS.get(form.get("MessageStatus", ""))
    try:
        reference = UUID(notification)
    except ValueError:
        raise Refusal(400, "the address names no message") from None
    if kind is None:
        return None
    if kind == "undelivered" and form.get("ErrorCode") in _GONE:
        kind = "bounced"
    to = form.get("To")
    return Word(reference, kind, "sms", form.get("MessageSid"), address_hash("sms", to, secret) if to else None)
