"""The door to Twilio: one text message a request, its fate told back to our webhook."""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import quote

from fundlyhub.addresses import canonical_phone
from fundlyhub.channels import provider_errors
from fundlyhub.channels.messages import Sms
from fundlyhub.errors import WrongUse
from fundlyhub.forks import in_each_process

# Without it Twilio tells a status once: again only when no connection came about, and not after 429 or 503.
# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides: 5 times, after any failure, within 15 s.
REPEATED = "#rc=5&rp=all"
_SID = re.compile(r"AC[0-9a-fA-F]{32}")


class Twilio:
    """Twilio's Messages API. Raises what ``answers.TWILIO`` says."""

    provider = "twilio"

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
            import twilio  # noqa: F401
        except ImportError:
            raise WrongUse('Twilio needs its extra: pip install "fundlyhub[twilio]"') from None
        if not _SID.fullmatch(account_sid):  # it becomes a part of the address
            raise WrongUse("FUNDLYHUB_TWILIO_ACCOUNT_SID must be AC and 32 hexadecimal digits")
        if not auth_token or not sender:
            raise WrongUse(f"FUNDLYHUB_TWILIO_{'FROM' if auth_token else 'AUTH_TOKEN'} is not set")
        self.timeout = timeout
        self._account, self._token, self._sender = account_sid, auth_token, sender
        self._callback, self._base_url = f"{public_url.rstrip('/')}/twilio/status?notification=", base_url
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._of_thread = threading.local()

    def send(self, message: Sms) -> str | None:
        """Hand a text message over; the id is Twilio's SID of it."""
        from fundlyhub.channels.requesting import translated

        try:
            answer = self._client().messages.create(
                to=canonical_phone(message.to),  # 0049… is no number to it, and would be given up
                from_=self._sender,
                body=message.body,
                status_callback=f"{self._callback}{quote(message.reference, safe='')}{REPEATED}",
            )
            identity: str | None = answer.sid
        except Exception as error:
            raise translated(self.provider, error) from None
        if not identity:
            raise provider_errors.unreadable(self.provider, 201)
        return identity

    def _client(self) -> Any:
        """This thread's client: neither it nor its session is said to be safe for more."""
        client = getattr(self._of_thread, "client", None)
        if client is None:
            from fundlyhub.channels.twilio_client import client as make

            client = make(self._account, self._token, base_url=self._base_url, timeout=self.timeout)
            self._of_thread.client = client
        return client
