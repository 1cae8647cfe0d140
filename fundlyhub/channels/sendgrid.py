"""E-mail through SendGrid's v3 API: one mail per request, with our reference and without tracking."""

from __future__ import annotations

import json
import select
import ssl
import time
import urllib.request
from base64 import b64encode
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import unquote, urlsplit

from fundlyhub.addresses import ENCODED_WORD
from fundlyhub.channels import answers, provider_errors
from fundlyhub.channels.messages import Mail
from fundlyhub.channels.mime import extra_headers, header_value, mailbox, sender_of
from fundlyhub.channels.per_thread import PerThread
from fundlyhub.errors import WrongUse

PROVIDER = "sendgrid"
REFERENCE = "notification"
"""Name of the custom argument that carries our reference; SendGrid's webhooks return it."""
KEPT = 1.0
"""Seconds that an idle connection is kept: shorter than any server's limit, so that none is cut while a mail leaves."""


class SendGrid:
    """SendGrid's API. Raises the errors of the table ``provider_errors.SENDGRID``."""

    provider = PROVIDER

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
        self._sender, tls = sender_of(sender), ssl.create_default_context()
        self._client = PerThread(lambda: Client(api_key, base_url=base_url, timeout=timeout, tls=tls))

    def send(self, message: Mail) -> str | None:
        """Send a mail and return SendGrid's X-Message-Id."""
        answer = self._client().post(json.dumps(self._body(message)).encode())
        if not 200 <= answer.status < 300:
            after = answer.headers.get("Retry-After")
            raise provider_errors.refusal(PROVIDER, provider_errors.SENDGRID, answer.status, retry_after=after)
        return answers.accepted(
            PROVIDER, answer.status, answer.headers.get("X-Message-Id") if answer.status == 202 else None
        )

    def _body(self, message: Mail) -> dict[str, Any]:
        from sendgrid.helpers import mail as sdk

        to = mailbox(message.to)  # the SDK fails on an invalid address with a KeyError that quotes it
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


class Client:
    """A connection to SendGrid that is kept between mails; address and credentials come from the SDK.

    The SDK itself connects for each mail, which costs a TLS handshake. There are no retries and no redirects: after
    either, nobody could tell whether a mail was accepted.
    """

    def __init__(
        self, api_key: str, *, base_url: str | None, timeout: float, tls: ssl.SSLContext, kept: float = KEPT
    ) -> None:
        from sendgrid import SendGridAPIClient

        sdk = SendGridAPIClient(api_key, **({"host": base_url.rstrip("/")} if base_url else {}))
        host = urlsplit(sdk.host)
        self._path = f"{host.path}/v3/mail/send"
        self._headers = {**sdk.client.request_headers, "Content-Type": "application/json"}
        self._connection = _connection(host.scheme, host.netloc, timeout, tls)
        self._kept, self._left = kept, 0.0

    def __del__(self) -> None:
        with suppress(AttributeError):  # __init__ may have failed
            self._connection.close()

    def post(self, mail: bytes) -> HTTPResponse:
        """Post a mail and return the answer. Raises Transient without a connection, else OutcomeUnknown."""
        self._connect()
        try:
            self._connection.request("POST", self._path, mail, self._headers)
            answer = self._connection.getresponse()
            answer.read(answers.LARGEST)
        except BaseException as error:
            self._connection.close()
            if not isinstance(error, Exception):
                raise
            raise provider_errors.unknown(PROVIDER, error) from None
        if not answer.isclosed():  # there is more of it, of which nothing is wanted
            self._connection.close()
        self._left = time.monotonic()
        return answer

    def _connect(self) -> None:
        if self._is_open():
            return
        self._connection.close()
        try:
            self._connection.connect()
        except Exception as error:
            self._connection.close()
            raise provider_errors.not_sent(PROVIDER, error) from None

    def _is_open(self) -> bool:
        """Whether the kept connection can take another mail: an idle one that is readable was closed by the server."""
        if self._connection.sock is None or time.monotonic() - self._left > self._kept:
            return False
        line = select.poll()
        line.register(self._connection.sock, select.POLLIN)
        return not line.poll(0)


def _connection(scheme: str, netloc: str, timeout: float, tls: ssl.SSLContext) -> HTTPConnection:
    """A connection to the host, through the HTTPS proxy of the environment, as the SDK makes it."""
    if scheme != "https":
        return HTTPConnection(netloc, timeout=timeout)
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(netloc):
        return HTTPSConnection(netloc, timeout=timeout, context=tls)
    by = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = HTTPSConnection(by.hostname or "", by.port or 80, timeout=timeout, context=tls)
    login = f"{unquote(by.username or '')}:{unquote(by.password or '')}".encode()
    headers = {} if by.username is None else {"Proxy-Authorization": f"Basic {b64encode(login).decode()}"}
    connection.set_tunnel(netloc, headers=headers)
    return connection


def _undecoded(text: str) -> str:
    """A text that SendGrid puts into a header, with a blank that breaks anything like an RFC 2047 word."""
    return text.replace(ENCODED_WORD, "= ?")
