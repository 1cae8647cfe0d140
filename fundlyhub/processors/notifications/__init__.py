"""Messages to people: the catalogue of messages, their ledger, and the processors that send them, per channel."""

from fundlyhub.processors.notifications.processor import (
    EmailBroadcastProcessor,
    EmailNotificationProcessor,
    PushBroadcastProcessor,
    PushNotificationProcessor,
    SmsNotificationProcessor,
)

__all__ = [
    "EmailBroadcastProcessor",
    "EmailNotificationProcessor",
    "PushBroadcastProcessor",
    "PushNotificationProcessor",
    "SmsNotificationProcessor",
]
