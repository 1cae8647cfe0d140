"""The matter of a message, its business key: the ledger holds one message per matter, channel and recipient.

One donation may complete under three event ids, and one payout may be approved twice: the message is about the donation
or the payout, and is sent once. A second event of the same matter sends nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from fundlyhub.channels.messages import ChannelName
from fundlyhub.events import Event

EVENT = "event"
"""Stands for the event itself, in the place of a field."""
DAY = "day"
"""Stands for the day on which it happened, UTC."""

_LEDGER = UUID("5b0f6f0e-6a53-5d0c-9c9a-6f2f6f0b7c11")
_PLAIN = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")


class Key(NamedTuple):
    """The business key of a message in the ledger; without a recipient, of all messages of its matter."""

    matter: str
    channel: ChannelName
    template: str
    recipient: str = ""

    def to(self, recipient: str) -> Key:
        """The key of the message to a recipient."""
        return self._replace(recipient=recipient)

    @property
    def for_all(self) -> Key:
        """The key without the recipient, which all messages of the matter share."""
        return self._replace(recipient="")


def matter_of(fields: Sequence[str], event: Event) -> str:
    """The matter of an event's message: the fields of the payload that the catalogue names, in one line."""
    return " ".join(f"{name}={_value(name, event)}" for name in fields)


def of_event(event_id: UUID) -> str:
    """The matter of a message that is about its event alone."""
    return f"{EVENT}={event_id}"


def ledger_id(matter: str, channel: ChannelName, recipient: str, template: str) -> UUID:
    """The id of a message in the ledger: the same message has the same, whatever becomes of the row."""
    return uuid5(_LEDGER, "\0".join((matter, channel, recipient, template)))


def _value(name: str, event: Event) -> str:
    if name == EVENT:
        return str(event.id)
    if name == DAY:
        return event.timestamp.date().isoformat()
    return _plain(getattr(event.payload, name))


def _plain(value: Any) -> str:
    """A value in one canonical form. Free text and long values are hashed."""
    match value:
        case Decimal():
            text = f"{value.normalize():f}"
        case datetime():
            text = value.isoformat()
        case _:
            text = str(value)
    return text if _PLAIN.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]
