"""Twilio's SDK with a time-out and an address of our choosing, and with answers read before it rewords them."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from fundlyhub.channels import provider_errors

PROVIDER = "twilio"

# At INFO it would log four lines a request.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)


class _HttpClient(TwilioHttpClient):
    """Raises what ``answers.TWILIO`` says: the SDK's own errors quote the number, and lose Retry-After."""

    def __init__(self, base_url: str | None, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._base = urlsplit(base_url.rstrip("/")) if base_url else None

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        """One request; the SDK knows its own host only."""
        if self._base is not None:
            asked = urlsplit(url)
            path = self._base.path + asked.path
            url = urlunsplit((self._base.scheme, self._base.netloc, path, asked.query, asked.fragment))
        response = super().request(method, url, *args, **options)
        if not 200 <= response.status_code < 300:
            status, code, after = (
                response.status_code,
                _code(response.text),
                (response.headers or {}).get("Retry-After"),
            )
            kind = provider_errors.twilio_kind(status, code)
            raise provider_errors.refusal(
                PROVIDER, provider_errors.TWILIO, status, retry_after=after, kind=kind, code=code
            )
        return response


def client(account_sid: str, auth_token: str, *, base_url: str | None, timeout: float) -> Client:
    """A client for one thread."""
    return Client(account_sid, auth_token, http_client=_HttpClient(base_url, timeout))


def _code(text: str) -> int:
    """Twilio's own code for what went wrong, or 0."""
    try:
        return int(json.loads(text)["code"])
    except (ValueError, TypeError, KeyError):
        return 0
