"""What the tests of messages share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from fundlyhub import UserFollowedCampaign
from fundlyhub.channels.breaker import breaker
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.providers import Fake, Fcm, SendGrid
from tests.notifications.occasions import GIFT, NOW, payout
from tests.notifications.post import JOHN, MARY, ME, WELLS, Post
from tests.support.mail_server import MailServer
from tests.support.make import campaign, completed


@pytest.fixture
def post(settings: Settings) -> Post:
    """A fresh platform, on which I am a user with a campaign, Wells."""
    post = Post()
    post.people(ME)
    post.known(campaign(WELLS, user_id=ME, title="Wells", slug="wells"))
    return post


@pytest.fixture
def full(post: Post) -> Post:
    """Beside me: John who follows me and my campaign, a gift of mine, a payout, an earlier sign-in."""
    post.people(JOHN, MARY)
    post.known(
        UserFollowedCampaign(user_id=JOHN, campaign_id=WELLS, follow_type="user"),
        completed(WELLS, donation_id=GIFT, donor_id=ME, amount=Decimal(25)),
        payout,
        UserLoggedIn(user_id=ME, ip_address="198.51.100.7", user_agent="Safari", timestamp=NOW),
    )
    return post


@pytest.fixture
def mailer(post: Post, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SendGrid]:
    """SendGrid, which all mails of this platform go to from now on; its breaker is closed."""
    with SendGrid.running() as fake:
        yield from behind(monkeypatch, fake, fake.variables(tmp_path))


@pytest.fixture
def pusher(post: Post, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fcm]:
    """FCM, the same."""
    with Fcm.running() as fake:
        yield from behind(monkeypatch, fake, fake.variables(tmp_path))


F = TypeVar("F", bound=Fake | MailServer)


def behind(monkeypatch: pytest.MonkeyPatch, fake: F, variables: Mapping[str, str]) -> Iterator[F]:
    """The fake, once this process's settings lead to it; every breaker begins anew."""
    short = {"FUNDLYHUB_CALL_TIMEOUT": "1", "FUNDLYHUB_NOTIFICATION_LEASE": "3"}
    for name, value in {**short, **variables}.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    breaker.cache_clear()
    close_breakers()
    yield fake
    monkeypatch.undo()
    get_settings.cache_clear()
    breaker.cache_clear()


def close_breakers() -> None:
    """Forget what other tests' calls came to."""
    with redis.Redis.from_url(get_settings().redis) as client:
        for key in client.scan_iter("fundlyhub:breakers:*"):
            client.delete(key)
