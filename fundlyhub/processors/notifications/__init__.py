"""Who is told what: the table of messages, their ledger, and the processors that send them, one for each channel."""

from fundlyhub.processors.notifications.processor import (
    EmailNotificationProcessor,
    PushNotificationProcessor,
    SmsNotificationProcessor,
)

__all__ = ["EmailNotificationProcessor", "PushNotificationProcessor", "SmsNotificationProcessor"]
