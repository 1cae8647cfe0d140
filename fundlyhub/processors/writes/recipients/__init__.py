"""Recipients of messages: contacts, devices, preferences, donors, payout requests and sign-ins."""

from fundlyhub.processors.writes.recipients.processor import RecipientWriteProcessor

__all__ = ["RecipientWriteProcessor"]
