"""Twilio's status callbacks: checks the signature and reads the status of a text message."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl
from uuid import UUID

from fundlyhub.channels.twilio import REPEATED
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.delivery_reports.effects import Kind, Word
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.web.refusals import Refusal

SIGNATURE = "x-twilio-signature"

_KINDS: Mapping[str, Kind] = {"delivered": "delivered", "undelivered": "undelivered", "failed": "undelivered"}
# Error codes that are about the recipient's number (https://www.twilio.com/docs/api/errors). All others are about its
# phone at the moment (30003), or our message, our sender or our account (30001, 30002, 30004, 30007, 30034).
_OF_THE_NUMBER: Mapping[str, Kind] = {
    "21211": "bounced",  # no number
    "21614": "bounced",  # no mobile number
    "30005": "bounced",  # unknown, or not in use any more
    "30006": "bounced",  # a landline; to a short code of ours also a carrier that takes none: see _is_short
    "21610": "unwanted",  # its owner opted out
}
_LANDLINE = "30006"


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises Refusal if it cannot be read."""
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
    validator = RequestValidator(token)
    if not any(validator.validate(one, dict(form), signature) for one in (url, f"{url}{REPEATED}")):
        raise Refusal(403, "the signature is not Twilio's")


def word(notification: str, form: Mapping[str, str], secret: bytes) -> Word | None:
    """The delivery report in a callback; None if it says nothing new."""
    kind = _KINDS.get(form.get("MessageStatus", ""))
    try:
        reference = UUID(notification)
    except ValueError:
        raise Refusal(400, "the address names no message") from None
    if kind is None:
        return None
    code, to = form.get("ErrorCode", ""), form.get("To")
    if kind == "undelivered" and not (code == _LANDLINE and _is_short(form.get("From", ""))):
        kind = _OF_THE_NUMBER.get(code, kind)
    hashed = address_hash("sms", to, secret) if to else None
    said = f"twilio: {code if code in _OF_THE_NUMBER else kind}"
    return Word(reference, kind, "sms", form.get("MessageSid"), hashed, said)


def _is_short(sender: str) -> bool:
    return sender.isdecimal() and len(sender) < 7
