"""SendGrid's event webhook: checks the signature and reads the events that are about our messages."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fundlyhub.channels.smtp_replies import UNDEFINED, enhanced, names_the_mailbox
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.delivery_reports.effects import Kind, Word
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.web.refusals import Refusal

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
FRESH = 600.0
"""Largest difference in seconds between a request's time and ours."""

# https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
_KINDS: Mapping[str, Kind] = {"delivered": "delivered", "spamreport": "complained"}
# A dropped mail was never sent. The first two reasons mean that the mailbox does not exist, the next two that its owner
# wants no mails; all others are about our mail or our account.
_DROPPED: Mapping[str, Kind] = {
    "bounced address": "bounced",
    "invalid": "bounced",
    "spam reporting address": "unwanted",
    "unsubscribed address": "unwanted",
}
_INVALID = "invalid address"


def public_key(encoded: str) -> ec.EllipticCurvePublicKey:
    """The public key from SendGrid's settings page. Raises WrongUse if it is invalid."""
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise WrongUse("FUNDLYHUB_SENDGRID_WEBHOOK_KEY is no public key: copy it from SendGrid's mail settings")
    return key


def verify(key: ec.EllipticCurvePublicKey, headers: Mapping[str, str], body: bytes, *, now: float) -> None:
    """Raise Refusal unless SendGrid signed this body, and recently."""
    stamp = headers.get(TIMESTAMP, "")
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        key.verify(signature, stamp.encode() + body, ec.ECDSA(SHA256()))
        age = abs(now - float(stamp))
    except (InvalidSignature, ValueError, binascii.Error):
        raise Refusal(403, "the signature is not SendGrid's") from None
    if not age <= FRESH:
        raise Refusal(403, "the request is too old")


def words(body: bytes, secret: bytes) -> Iterator[Word]:
    """The delivery reports in a request. Raises Refusal if it cannot be read."""
    try:
        events = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is no JSON") from None
    if not isinstance(events, list):
        raise Refusal(400, "the body must be a list of events")
    for event in events:
        if isinstance(event, dict) and (word := _word(event, secret)):
            yield word


def _word(event: Mapping[str, Any], secret: bytes) -> Word | None:
    """The report of one event; None if it says nothing, or is not about our mails."""
    kind, said = _kind(event)
    try:
        notification = UUID(str(event.get("notification")))
    except ValueError:
        return None
    if kind is None:
        return None
    email, message_id = event.get("email"), event.get("sg_message_id")
    return Word(
        notification, kind, "email", message_id if isinstance(message_id, str) else None,
        address_hash("email", email, secret) if isinstance(email, str) else None, said,
    )  # fmt: skip


def _kind(event: Mapping[str, Any]) -> tuple[Kind | None, str]:
    """The kind of a report and its reason, in our own words: SendGrid's text may quote addresses."""
    name = _text(event, "event")
    if name == "dropped":
        reason = _text(event, "reason").strip().casefold()
        return _DROPPED.get(reason, "undelivered"), f"sendgrid dropped it: {reason if reason in _DROPPED else 'other'}"
    if name != "bounce":
        return _KINDS.get(name), f"sendgrid: {name}"
    code = enhanced(_text(event, "status")) or enhanced(re.sub(r"^[0-9]{3}[ -]", "", _text(event, "reason")))
    classified, blocked = _text(event, "bounce_classification").strip().casefold(), _text(event, "type") == "blocked"
    if not blocked and code is not None and code not in UNDEFINED:
        return ("bounced" if names_the_mailbox(code) else "undelivered"), f"sendgrid: bounce 5.{code}"
    if not blocked and (classified == _INVALID or (not classified and code is None and event.get("type") == "bounce")):
        return "bounced", f"sendgrid: bounce{', ' + _INVALID if classified else ''}"
    return "undelivered", "sendgrid: blocked, or a bounce that does not name the mailbox"


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""
