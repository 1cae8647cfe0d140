"""Text messages through Twilio: one message per request; its status comes back to our webhook."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import quote, urlsplit

from fundlyhub.addresses import canonical_phone
from fundlyhub.channels import answers, provider_errors
from fundlyhub.channels.messages import Sms
from fundlyhub.channels.per_thread import PerThread
from fundlyhub.errors import WrongUse

PROVIDER = "twilio"
# Twilio repeats a status callback only after a failed connection, and not after 429 or 503. This fragment asks for
# five retries within 15 s after any failure: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides.
REPEATED = "#rc=5&rp=all"
_SID = re.compile(r"AC[0-9a-fA-F]{32}")

logging.getLogger("twilio.http_client").setLevel(logging.WARNING)  # at INFO the SDK logs four lines per request


class Twilio:
    """Twilio's Messages API. Raises the errors of the table ``provider_errors.TWILIO``."""

    provider = PROVIDER

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        public_url: str,
        *,
        base_url: str | None = None,
        timeout: float = provider_errors.TIMEOUT,
    ) -> None:
        try:
            import twilio.rest
        except ImportError:
            raise WrongUse('Twilio needs its extra: pip install "fundlyhub[twilio]"') from None
        if not _SID.fullmatch(account_sid):  # it becomes a part of the address
            raise WrongUse("FUNDLYHUB_TWILIO_ACCOUNT_SID must be AC and 32 hexadecimal digits")
        if not auth_token or not sender:
            raise WrongUse(f"FUNDLYHUB_TWILIO_{'FROM' if auth_token else 'AUTH_TOKEN'} is not set")
        self.timeout = timeout
        self._sender, self._callback = sender, f"{public_url.rstrip('/')}/twilio/status?notification="
        self._client = PerThread(
            lambda: twilio.rest.Client(account_sid, auth_token, http_client=_Http(base_url, timeout))
        )

    def send(self, message: Sms) -> str | None:
        """Send a text message and return Twilio's SID of it."""
        from fundlyhub.channels.requesting import translated

        try:
            answer = self._client().messages.create(
                to=canonical_phone(message.to),  # Twilio rejects 0049… as invalid, and the number would be given up
                from_=self._sender,
                body=message.body,
                status_callback=f"{self._callback}{quote(message.reference, safe='')}{REPEATED}",
            )
        except Exception as error:
            raise translated(PROVIDER, error) from None
        return answers.accepted(PROVIDER, 201, answer.sid)


class _Http:
    """The SDK's HTTP client with a timeout and an address of our choice. Raises our errors for Twilio's refusals.

    The SDK's own errors quote the number and lose Retry-After.
    """

    def __init__(self, base_url: str | None, timeout: float) -> None:
        from twilio.http.http_client import TwilioHttpClient

        from fundlyhub.channels.requesting import session

        self._sdk = TwilioHttpClient(timeout=timeout)
        self._sdk.session = session()
        self._base = base_url.rstrip("/") if base_url else None

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        """Send a request once; the SDK always asks for its own host."""
        if self._base is not None:
            url = f"{self._base}{urlsplit(url)._replace(scheme='', netloc='').geturl()}"
        answer = self._sdk.request(method, url, *args, **options)
        if not 200 <= answer.status_code < 300:
            status, code, after = answer.status_code, _code(answer.text), (answer.headers or {}).get("Retry-After")
            kind = provider_errors.twilio_kind(status, code)
            raise provider_errors.refusal(
                PROVIDER, provider_errors.TWILIO, status, retry_after=after, kind=kind, code=code
            )
        return answer


def _code(text: str) -> int:
    """Twilio's own error code, or 0."""
    said = answers.parsed(text)
    return (answers.whole(said.get("code")) if isinstance(said, dict) else None) or 0
