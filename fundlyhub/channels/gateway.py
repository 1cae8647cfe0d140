"""The three channels as the settings configure them: sender, circuit breaker and concurrency limit of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Generic, Literal, TypeVar, overload

from fundlyhub.channels.breaker import Breaker, breaker
from fundlyhub.channels.messages import ChannelName, Mail, Message, Push, Sender, Sms
from fundlyhub.channels.provider_errors import TIMEOUT
from fundlyhub.errors import WrongUse
from fundlyhub.observability.tracing import calling
from fundlyhub.settings import Settings, get_settings

LIMITS: Mapping[ChannelName, int] = {"email": 8, "push": 8, "sms": 4}
"""Concurrent sends per channel and process."""
FILES = 50
"""Messages that are taken at once where they are written to files, one after the other: nothing is waited for."""

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Door(Generic[M]):
    """A channel's sender behind its circuit breaker. Safe to use from ``limit`` threads."""

    def __init__(self, sender: Sender[M], *, limit: int, breaker: Breaker | None, timeout: float = TIMEOUT) -> None:
        self.provider = sender.provider
        self.limit = limit
        self.timeout = timeout
        self._sender, self._breaker = sender, breaker

    @property
    def is_file(self) -> bool:
        """Whether messages are written to files: that is done at once, and by no thread."""
        return self.provider == "file"

    def check(self) -> None:
        """Raise Snooze while the breaker is open."""
        if self._breaker is not None:
            self._breaker.check()

    def send(self, message: M) -> str | None:
        """Send a message, as ``Sender.send`` does. Raises Snooze, without a call, while the breaker is open."""
        if self._breaker is None:
            return self._hand_over(message)
        return self._breaker.call(lambda: self._hand_over(message))

    def flush(self) -> None:
        """Tell the circuit breaker that no more calls follow for now."""
        if self._breaker is not None:
            self._breaker.flush()

    def _hand_over(self, message: M) -> str | None:
        with calling(self.provider):
            return self._sender.send(message)


@overload
def door(channel: Literal["email"]) -> Door[Mail]: ...
@overload
def door(channel: Literal["push"]) -> Door[Push]: ...
@overload
def door(channel: Literal["sms"]) -> Door[Sms]: ...
@overload
def door(channel: ChannelName) -> Door[Any]: ...
def door(channel: ChannelName) -> Door[Any]:
    """Return this process's door of a channel, as the settings configure it.

    Raises WrongUse when an SDK is not installed, or when a credential is missing or cannot be read.
    """
    return _made(channel, get_settings())


@cache
def _made(channel: ChannelName, settings: Settings) -> Door[Any]:
    sender: Sender[Any] = _SENDERS[channel](settings)
    if sender.provider == "file":
        return Door(sender, limit=FILES, breaker=None)
    guard = breaker(sender.provider, bursts=True)
    return Door(sender, limit=LIMITS[channel], breaker=guard, timeout=settings.call_timeout)


def _mails(settings: Settings) -> Sender[Mail]:
    if settings.email_backend == "sendgrid":
        from fundlyhub.channels.sendgrid import SendGrid

        key = _given(settings.sendgrid_api_key, "SENDGRID_API_KEY").get_secret_value()
        return SendGrid(key, settings.email_from, base_url=settings.sendgrid_base_url, timeout=settings.call_timeout)
    if settings.email_backend == "smtp":
        from fundlyhub.channels.smtp import Smtp

        url = _given(settings.smtp_url, "SMTP_URL").get_secret_value()
        return Smtp(url, settings.email_from, timeout=settings.call_timeout)
    from fundlyhub.channels.files import MailFiles

    return MailFiles(settings.data_dir, settings.email_from)


def _pushes(settings: Settings) -> Sender[Push]:
    if settings.push_backend == "fcm":
        from fundlyhub.channels.fcm import Fcm

        account = _given(settings.fcm_service_account_file, "FCM_SERVICE_ACCOUNT_FILE")
        return Fcm(account, base_url=settings.fcm_base_url, timeout=settings.call_timeout)
    from fundlyhub.channels.files import PushFiles

    return PushFiles(settings.data_dir)


def _texts(settings: Settings) -> Sender[Sms]:
    if settings.sms_backend == "twilio":
        from fundlyhub.channels.twilio import Twilio

        return Twilio(
            _given(settings.twilio_account_sid, "TWILIO_ACCOUNT_SID"),
            _given(settings.twilio_auth_token, "TWILIO_AUTH_TOKEN").get_secret_value(),
            _given(settings.twilio_from, "TWILIO_FROM"),
            settings.public_url,
            base_url=settings.twilio_base_url,
            timeout=settings.call_timeout,
        )
    from fundlyhub.channels.files import SmsFiles

    return SmsFiles(settings.data_dir)


_SENDERS: Mapping[ChannelName, Callable[[Settings], Sender[Any]]] = {"email": _mails, "push": _pushes, "sms": _texts}


def _given(value: T | None, name: str) -> T:
    if value is None:
        raise WrongUse(f"FUNDLYHUB_{name} is not set")
    return value
