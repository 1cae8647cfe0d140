"""Fakes of the providers that speak HTTP, which keep what they accept and misbehave as they are told.

::

    from fundlyhub.testing.providers import Behaviour, SendGrid

    with SendGrid.running() as mailer:
        mailer.behave(Behaviour(429, retry_after="30"), Behaviour(how="reset after reading"))
        ...  # FUNDLYHUB_EMAIL_BACKEND=sendgrid, FUNDLYHUB_SENDGRID_BASE_URL=mailer.url
        assert [one.recipient for one in mailer.accepted] == ["ann@example.org"]
"""

from fundlyhub.testing.providers.apis import Fcm, SendGrid, Twilio
from fundlyhub.testing.providers.http import Accepted, Behaviour, Fake

__all__ = ["Accepted", "Behaviour", "Fake", "Fcm", "SendGrid", "Twilio"]
