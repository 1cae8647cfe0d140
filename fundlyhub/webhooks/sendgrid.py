"""SendGrid's signed events: is it SendGrid, is it fresh, and which words are for us."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fundlyhub.errors import WrongUse
from fundlyhub.processors.hashing import address_hash
from fundlyhub.processors.notifications.feedback import Kind, Word
from fundlyhub.webhooks.refusals import Refusal

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
FRESH = 600.0
"""Seconds that a request's time may be away from ours."""
MOST = 1_000
"""Events in one request."""

# https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event: "blocked" is a bounce that may pass; a
# mail that SendGrid drops was never sent, since it knows of an earlier bounce or complaint.
_KINDS: Mapping[str, Kind] = {
    "delivered": "delivered", "bounce": "bounced", "dropped": "undelivered", "spamreport": "complained",
}  # fmt: skip


def public_key(encoded: str) -> ec.EllipticCurvePublicKey:
    """The key of SendGrid's settings page. Raises WrongUse when it is none."""
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise WrongUse("FUNDLYHUB_SENDGRID_WEBHOOK_KEY is no public key: copy it from SendGrid's mail settings")
    return key


def verify(key: ec.EllipticCurvePublicKey, headers: Mapping[str, str], body: bytes, *, now: float) -> None:
    """Raise Refusal unless SendGrid signed this very body just now."""
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
    """What a request says of messages of ours. Raises Refusal when it cannot be read."""
    try:
        events = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is no JSON") from None
    if not isinstance(events, list) or len(events) > MOST:
        raise Refusal(400, f"the body must be a list of at most {MOST} events")
    for event in events:
        if isinstance(event, dict) and (word := _word(event, secret)):
            yield word


def _word(event: Mapping[str, Any], secret: bytes) -> Word | None:
    """One event; None for those that tell nothing, and those of mails that are not ours."""
    kind = _KINDS.get(str(event.get("event")))
    try:
        notification = UUID(str(event.get("notification")))
    except ValueError:
        return None
    if kind is None:
        return None
    if kind == "bounced" and event.get("type") == "blocked":
        kind = "undelivered"
    email, message_id = event.get("email"), event.get("sg_message_id")
    return Word(
        notification, kind, "email", message_id[:200] if isinstance(message_id, str) else None,
        address_hash("email", email, secret) if isinstance(email, str) else None,
    )  # fmt: skip
