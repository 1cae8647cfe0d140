"""Who is told what: the table of messages, their ledger, and the processors that send them, for each channel."""

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
