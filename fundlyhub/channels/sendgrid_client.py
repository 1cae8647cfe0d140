"""SendGrid's address and credentials by its SDK, and a connection that is kept: the SDK makes one for each mail.

That costs a mail a handshake, and a fifth of its processor time goes into an opener that is thrown away.
"""

from __future__ import annotations

import select
import ssl
import time
import urllib.request
from base64 import b64encode
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import unquote, urlsplit

from sendgrid import SendGridAPIClient

from fundlyhub.channels import provider_errors

PROVIDER = "sendgrid"
KEPT = 1.0
"""Seconds that a connection is kept without a mail: less than any server's, so that none is cut as a mail leaves."""


class Client:
    """One thread's way to SendGrid. No retries, and no redirects: neither can tell whether a mail was taken."""

    def __init__(
        self, api_key: str, *, base_url: str | None, timeout: float, tls: ssl.SSLContext, kept: float = KEPT
    ) -> None:
        sdk = SendGridAPIClient(api_key, **({"host": base_url.rstrip("/")} if base_url else {}))
        host = urlsplit(sdk.host)
        self._path = f"{host.path}/v3/mail/send"
        self._headers = {**sdk.client.request_headers, "Content-Type": "application/json"}
        self._connection = _connection(host.scheme, host.netloc, timeout, tls)
        self._kept, self._left = kept, 0.0

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never whole
            self._connection.close()

    def post(self, mail: bytes) -> HTTPResponse:
        """The answer, read to its end. Raises Transient when no connection comes about, else OutcomeUnknown."""
        self._connect()
        try:
            self._connection.request("POST", self._path, mail, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except BaseException as error:
            self._connection.close()
            if not isinstance(error, Exception):
                raise
            raise provider_errors.unknown(PROVIDER, error) from None
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
        """Whether the last mail's connection serves another: what it has to say now is that it ends."""
        if self._connection.sock is None or time.monotonic() - self._left > self._kept:
            return False
        line = select.poll()
        line.register(self._connection.sock, select.POLLIN)
        return not line.poll(0)


def _connection(scheme: str, netloc: str, timeout: float, tls: ssl.SSLContext) -> HTTPConnection:
    """To the host, through the proxy that the environment names for HTTPS, as the SDK's own goes."""
    if scheme != "https":
        return HTTPConnection(netloc, timeout=timeout)
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(netloc):
        return HTTPSConnection(netloc, timeout=timeout, context=tls)
    by = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = HTTPSConnection(by.hostname or "", by.port or 80, timeout=timeout, context=tls)
    connection.set_tunnel(netloc, headers=_credentials(by.username, by.password))
    return connection


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    said = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(said).decode()}"}
