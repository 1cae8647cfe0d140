"""Messages that are gathered into digests, and what of them went out."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.settings import get_settings
from tests.notifications.post import WELLS, Post
from tests.support.make import completed

SCHOOL = UUID(int=12)
MEMBERS = "SELECT count(*)::int FROM app.digest_members"
ROWS = "SELECT state, reason FROM app.notifications WHERE template LIKE '%%digest' ORDER BY 1, 2"
SETTLED = "SELECT settled_at IS NOT NULL FROM app.digests ORDER BY opened_at"


def gifts(count: int, first: int = 1_000, **changed: Any) -> list[DonationCompleted]:
    """Gifts to my campaign, of a guest unless it is said otherwise."""
    fields: dict[str, Any] = {"donor_id": None, "donor_email": "guest@example.org", "currency": "EUR", **changed}
    campaign_id = fields.pop("campaign_id", WELLS)
    return [completed(campaign_id, donation_id=UUID(int=first + n), **fields) for n in range(count)]


def due(post: Post) -> None:
    """The hour of all digests is over."""
    post.sql("UPDATE app.digests SET due_at = now() WHERE settled_at IS NULL")


def sweep(processor: Any = EmailNotificationProcessor) -> None:
    """What the sweep has a worker do when something is left: a batch without events."""
    if processor.has_more():
        execute(processor, [])


def outbox(channel: str = "email") -> list[str]:
    """What went out, as its reader sees it: subject and text."""
    folder = get_settings().data_dir / "outbox" / channel
    return [_read(file) for file in sorted(folder.glob("[0-9]*"))]


def _read(file: Path) -> str:
    if file.suffix != ".eml":
        return file.read_text()
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = mail.get_body(("plain",))
    return f"{mail['subject']}\n{body.get_content() if body else ''}"


def owner_states(post: Post, channel: str = "email") -> list[str]:
    return sorted(one.reason or one.state for one in post.entries("new_donation") if one.channel == channel)
