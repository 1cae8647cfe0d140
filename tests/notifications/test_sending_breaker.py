"""Mails behind a circuit breaker: how often it is asked, and what becomes of them when it is open."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fundlyhub.channels.breaker import breaker
from fundlyhub.channels.gateway import Door, door
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.testing.providers import SendGrid
from tests.notifications.post import Post, registered


class Counting(Door[Any]):
    """The real door, which counts how often it is asked whether it lets anything through."""

    def __init__(self, real: Door[Any]) -> None:
        self.provider, self.limit, self.timeout = real.provider, real.limit, real.timeout
        self.send, self.flush = real.send, real.flush  # type: ignore[method-assign]
        self._real, self.asked = real, 0

    def check(self) -> None:
        """Before messages are taken."""
        self.asked += 1
        self._real.check()


class Counted(EmailNotificationProcessor, register=False):
    """The mails, by that door."""

    name = EmailNotificationProcessor.name
    way_out: Counting

    def door(self) -> Door[Any]:
        """The way out."""
        return self.way_out


def test_the_breaker_is_looked_at_once_for_those_that_go_out_side_by_side(post: Post, mailer: SendGrid) -> None:
    Counted.way_out = Counting(door("email"))
    positions = post.known(*(registered(UUID(int=500 + n)) for n in range(20)))
    assert post.run(Counted, positions).outcomes == {"done": 20}
    assert Counted.way_out.asked == 3


def test_behind_an_open_breaker_every_mail_waits_and_none_is_taken(post: Post, mailer: SendGrid) -> None:
    breaker("sendgrid").open_by_hand("a test", "me")
    positions = post.known(*(registered(UUID(int=500 + n)) for n in range(20)))
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"snoozed": 20}
    assert post.rows("SELECT DISTINCT state, tries, reason FROM app.notifications") == [("queued", 0, None)]
    assert mailer.requests == 0
