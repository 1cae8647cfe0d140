"""The door to SendGrid: one mail a request, with our reference in it, and without tracking."""

from __future__ import annotations

import json
import ssl
import threading
from typing import TYPE_CHECKING, Any

from fundlyhub.addresses import ENCODED_WORD
from fundlyhub.channels import provider_errors
from fundlyhub.channels.messages import Mail
from fundlyhub.channels.mime import extra_headers, header_value, mailbox, sender_of
from fundlyhub.errors import WrongUse
from fundlyhub.forks import in_each_process

if TYPE_CHECKING:  # it imports the SDK
    from fundlyhub.channels.sendgrid_client import Client

REFERENCE = "notification"
"""The name under which SendGrid tells our reference back in its webhooks."""


class SendGrid:
    """SendGrid's v3 API. Raises what ``answers.SENDGRID`` says."""

    provider = "sendgrid"

    def __init__(
        self, api_key: str, sender: str, *, base_url: str | None = None, timeout: float = provider_errors.TIMEOUT
    ) -> None:
        try:
            import sendgrid  # noqa: F401
        except ImportError:
            raise WrongUse('SendGrid needs its extra: pip install "fundlyhub[sendgrid]"') from None
        if not api_key:
            raise WrongUse("FUNDLYHUB_SENDGRID_API_KEY is not set")
        self.timeout = timeout
        self._key, self._sender = api_key, sender_of(sender)
        self._base_url, self._tls = base_url, ssl.create_default_context()
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._of_thread = threading.local()

    def send(self, message: Mail) -> str | None:
        """Hand a mail over; the id is SendGrid's X-Message-Id."""
        answer = self._client().post(json.dumps(self._body(message)).encode())
        if not 200 <= answer.status < 300:
            after = answer.headers.get("Retry-After")
            raise provider_errors.refusal(self.provider, provider_errors.SENDGRID, answer.status, retry_after=after)
        identity = answer.headers.get("X-Message-Id")
        if answer.status != 202 or not identity:
            raise provider_errors.unreadable(self.provider, answer.status)
        return identity

    def _client(self) -> Client:
        """This thread's own: a connection takes one mail at a time."""
        client: Client | None = getattr(self._of_thread, "client", None)
        if client is None:
            from fundlyhub.channels.sendgrid_client import Client

            client = Client(self._key, base_url=self._base_url, timeout=self.timeout, tls=self._tls)
            self._of_thread.client = client
        return client

    def _body(self, message: Mail) -> dict[str, Any]:
        from sendgrid.helpers import mail as sdk

        to = mailbox(message.to)  # the SDK drops what is no address, and fails with a KeyError that quotes it
        name, address = self._sender
        person = sdk.Personalization()
        person.add_to(sdk.To(to))
        person.add_custom_arg(sdk.CustomArg(REFERENCE, _undecoded(message.reference)))
        for key, value in extra_headers(message).items():
            person.add_header(sdk.Header(key, " ".join(header_value(key, value).split())))  # SendGrid encodes none
        mail = sdk.Mail(
            sdk.From(address, _undecoded(name) or None), None, _undecoded(message.subject), message.text, message.html
        )
        mail.add_personalization(person)
        mail.tracking_settings = sdk.TrackingSettings(
            click_tracking=sdk.ClickTracking(False, False), open_tracking=sdk.OpenTracking(False)
        )
        body: dict[str, Any] = mail.get()
        return body


def _undecoded(text: str) -> str:
    """A text that SendGrid makes a header of: a blank parts what would be read as an RFC 2047 word."""
    return text.replace(ENCODED_WORD, "= ?")
