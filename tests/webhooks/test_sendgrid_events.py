"""What SendGrid's events say: of this address, of our mail, or of our account."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from fundlyhub.processors.notifications.delivery_reports.effects import Word
from fundlyhub.webhooks.sendgrid import words

ADDRESS = "ada@example.org"


def word(name: str, fields: dict[str, Any]) -> Word:
    """What one event says."""
    event = {"event": name, "notification": str(UUID(int=1)), "email": ADDRESS, **fields}
    (found,) = words(json.dumps([event]).encode(), b"key")
    return found


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": "bounce", "status": "5.1.1"}, "bounced"),
        ({"type": "bounce", "status": "5.1.10"}, "bounced"),
        ({"type": "bounce", "reason": f"550 5.1.1 {ADDRESS} is not here"}, "bounced"),
        ({"type": "bounce", "bounce_classification": "Invalid Address"}, "bounced"),
        ({"type": "bounce", "status": "5.0.0", "bounce_classification": "Invalid Address"}, "bounced"),
        ({"type": "bounce"}, "bounced"),
        ({"type": "bounce", "status": "5.7.1"}, "undelivered"),
        ({"type": "bounce", "status": "5.7.1", "bounce_classification": "Invalid Address"}, "undelivered"),
        ({"type": "bounce", "reason": "550 5.7.1 relaying denied"}, "undelivered"),
        ({"type": "bounce", "status": "5.1.8"}, "undelivered"),
        ({"type": "bounce", "status": "5.2.1"}, "undelivered"),
        ({"type": "bounce", "status": "5.4.4"}, "undelivered"),
        ({"type": "bounce", "status": "5.0.0"}, "undelivered"),
        ({"type": "bounce", "bounce_classification": "Reputation"}, "undelivered"),
        ({"type": "bounce", "bounce_classification": "Technical"}, "undelivered"),
        ({"type": "bounce", "bounce_classification": "Unclassified"}, "undelivered"),
        ({"type": "blocked", "status": "5.1.1"}, "undelivered"),
        ({"type": "blocked", "bounce_classification": "Invalid Address"}, "undelivered"),
        ({}, "undelivered"),
        ({"status": "5.0.0", "reason": "500 unknown recipient"}, "undelivered"),
        ({"type": 7, "status": ["5.1.1"], "bounce_classification": {}}, "undelivered"),
    ],
)  # fmt: skip
def test_a_bounce_is_about_the_address_only_when_it_names_the_mailbox(fields: dict[str, Any], kind: str) -> None:
    found = word("bounce", fields)
    assert found.kind == kind
    assert ADDRESS not in found.said


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Bounced Address", "bounced"),
        ("Invalid", "bounced"),
        ("Spam Reporting Address", "unwanted"),
        ("Unsubscribed Address", "unwanted"),
        ("Spam Content", "undelivered"),
        ("Invalid SMTPAPI header", "undelivered"),
        ("Recipient List over Package Quota", "undelivered"),
        (f"{ADDRESS} is odd", "undelivered"),
        (None, "undelivered"),
    ],
)
def test_a_mail_that_was_dropped_tells_of_the_address_what_sendgrid_knew(reason: str | None, kind: str) -> None:
    found = word("dropped", {"reason": reason})
    assert found.kind == kind
    assert ADDRESS not in found.said
