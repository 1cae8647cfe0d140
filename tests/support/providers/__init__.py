"""Providers that keep state and misbehave as they are told: SendGrid, FCM and Twilio over HTTP, and a mail server."""

from tests.support.providers.apis import Fcm, SendGrid, Twilio
from tests.support.providers.http import Accepted, Behaviour, Fake
from tests.support.providers.smtp import MailServer

__all__ = ["Accepted", "Behaviour", "Fake", "Fcm", "MailServer", "SendGrid", "Twilio"]
