"""The door to SendGrid: one mail a request, with our reference in it, and without tracking."""

from __future__ import annotations

import logging
import threading
from email.utils import parseaddr
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from fundlyhub.channels import answers
from fundlyhub.channels.messages import Mail
from fundlyhub.channels.mime import extra_headers, mailbox, one_line
from fundlyhub.errors import ProcessingError, WrongUse

REFERENCE = "notification"
"""The name under which SendGrid tells our reference back in its webhooks."""

# At DEBUG it would log whole mails, and the key.
logging.getLogger("python_http_client.client").setLevel(logging.INFO)


class SendGrid:
    """SendGrid's v3 API. Raises what ``answers.SENDGRID`` says."""

    provider = "sendgrid"

    def __init__(
        self, api_key: str, sender: str, *, base_url: str | None = None, timeout: float = answers.TIMEOUT
    ) -> None:
        try:
            import sendgrid  # noqa: F401
        except ImportError:
            raise WrongUse('SendGrid needs its extra: pip install "fundlyhub[sendgrid]"') from None
        if not api_key:
            raise WrongUse("FUNDLYHUB_SENDGRID_API_KEY is not set")
        self.timeout = timeout
        self._key, self._sender = api_key, parseaddr(sender)
        self._host = {"host": base_url.rstrip("/")} if base_url else {}
        self._of_thread = threading.local()

    def send(self, message: Mail) -> str | None:
        """Hand a mail over; the id is SendGrid's X-Message-Id."""
        body = self._body(message)
        try:
            answer = self._client().send(body)
        except Exception as error:
            raise _translated(error) from None
        # A redirect is followed with a GET: whatever answers that has taken no mail, so only 202 will do.
        identity: str | None = answer.headers.get("X-Message-Id")
        if answer.status_code != 202 or not identity:
            raise answers.unreadable(self.provider, answer.status_code)
        return identity

    def _client(self) -> Any:
        """This thread's client: the SDK's builder keeps state."""
        client = getattr(self._of_thread, "client", None)
        if client is None:
            from sendgrid import SendGridAPIClient

            client = SendGridAPIClient(self._key, **self._host)
            client.client.timeout = self.timeout  # it waits for ever otherwise, and has no argument for it
            self._of_thread.client = client
        return client

    def _body(self, message: Mail) -> dict[str, Any]:
        from sendgrid.helpers import mail as sdk

        to = mailbox(message.to)  # the SDK drops what is no address, and fails with a KeyError that quotes it
        name, address = self._sender
        person = sdk.Personalization()
        person.add_to(sdk.To(to))
        person.add_custom_arg(sdk.CustomArg(REFERENCE, message.reference))
        for key, value in extra_headers(message).items():
            person.add_header(sdk.Header(key, value))
        mail = sdk.Mail(sdk.From(address, name or None), None, one_line(message.subject), message.text, message.html)
        mail.add_personalization(person)
        mail.tracking_settings = sdk.TrackingSettings(
            click_tracking=sdk.ClickTracking(False, False), open_tracking=sdk.OpenTracking(False)
        )
        body: dict[str, Any] = mail.get()
        return body


def _translated(error: Exception) -> ProcessingError:
    """What an error of the SDK means. urllib's URLError is raised until the request is sent, and not after."""
    from python_http_client.exceptions import HTTPError

    if isinstance(error, HTTPError):
        headers = error.headers
        return answers.refusal(
            SendGrid.provider,
            answers.SENDGRID,
            error.status_code,
            retry_after=headers.get("Retry-After") if headers else None,
        )
    if isinstance(error, URLError) and not isinstance(error.reason, (ConnectionResetError, BrokenPipeError)):
        return answers.not_sent(SendGrid.provider, error.reason if isinstance(error.reason, BaseException) else error)
    cause = error.reason if isinstance(error, URLError) else error
    return answers.unknown(SendGrid.provider, cause if isinstance(cause, (OSError, HTTPException)) else error)
