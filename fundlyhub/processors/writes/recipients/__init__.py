"""Who can be written to: contacts, devices, preferences, and who gave, cashed out and signed in."""

from fundlyhub.processors.writes.recipients.processor import RecipientWriteProcessor

__all__ = ["RecipientWriteProcessor"]
