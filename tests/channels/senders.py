"""Senders at the doors of the fakes, with short time-outs, and messages for them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fundlyhub.channels.fcm import Fcm
from fundlyhub.channels.messages import Mail, Message, Push, Sms
from fundlyhub.channels.sendgrid import SendGrid
from fundlyhub.channels.twilio import Twilio
from fundlyhub.testing.providers.fcm_account import service_account as service_account

ADDRESS, DEVICE, NUMBER = "ada@example.org", "device-token-1", "+491701234567"
KEY, SID, TOKEN = "SG.s3cret", f"AC{'0a' * 16}", "tw1lio-s3cret"
FROM = "FundlyHub <no-reply@example.org>"
TIMEOUT = 0.5
PRIVATE = (ADDRESS, DEVICE, NUMBER, KEY, TOKEN, "Dear Ada", "Wells", "access-1", "p4ssword")
"""What no text of ours may hold."""


def mail(reference: str = "n-1", *, to: str = ADDRESS, subject: str = "Your Wells", text: str = "Dear Ada") -> Mail:
    return Mail(to, subject, text, f"<p>{text}</p>", reference, {"List-Unsubscribe": "<https://x.example/u?t=1>"})


def push(reference: str = "n-1") -> Push:
    return Push(DEVICE, "Wells", "Dear Ada", reference, {"campaign_id": "7"})


def sms(reference: str = "n-1") -> Sms:
    return Sms(NUMBER, "Dear Ada", reference)


MESSAGES: dict[str, Message] = {"sendgrid": mail(), "smtp": mail(), "fcm": push(), "twilio": sms()}


def sendgrid_at(url: str, *, timeout: float = TIMEOUT) -> SendGrid:
    return SendGrid(KEY, FROM, base_url=url, timeout=timeout)


def twilio_at(url: str, *, timeout: float = TIMEOUT) -> Twilio:
    return Twilio(SID, TOKEN, "+15550000000", "https://hooks.example", base_url=url, timeout=timeout)


def fcm_at(url: str, folder: Path, *, token_url: str | None = None, timeout: float = TIMEOUT) -> Fcm:
    return Fcm(service_account(folder, token_url or f"{url}/token"), base_url=url, timeout=timeout)


@contextmanager
def nothing_private(caplog: pytest.LogCaptureFixture, *things: object) -> Iterator[None]:
    """Nothing that is somebody's own, and no secret, is in the logs at their finest, or in the text of the things."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert_nothing_private(caplog.text, *things)


def assert_nothing_private(*things: object) -> None:
    said = " ".join(f"{thing!s} {thing!r}" for thing in things)
    for private in PRIVATE:
        assert private not in said
