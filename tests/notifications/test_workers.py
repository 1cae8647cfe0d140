"""Real workers at a provider that fails: killed in mid-call, and through an outage with mails waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from fundlyhub import publish_events
from fundlyhub.events import Event
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.conftest import close_breakers
from tests.notifications.post import registered
from tests.support.platform import Platform, wait_until

DOWN = Behaviour(status=503)
RESET = Behaviour(how="reset after reading")


@pytest.fixture
def provider(platform: Platform) -> Iterator[SendGrid]:
    """SendGrid, at which the platform's workers send; leases and rests are short."""
    close_breakers()
    with SendGrid.running() as fake:
        platform.environment |= {
            "FUNDLYHUB_PROCESSORS": "",
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_SENDGRID_BASE_URL": fake.url,
            "FUNDLYHUB_NOTIFICATION_LEASE": "5",
            "FUNDLYHUB_BREAKER_REST": "0.5",
        }
        platform.relay()
        wanted = "SELECT count(*) FROM events.processors WHERE name = 'email_notification'"
        wait_until(lambda: platform.value(wanted), what="the relay to know the processors")
        yield fake
        fake.ended.set()


def welcome(people: int) -> None:
    """So many people sign up: each is to get one mail."""
    for start in range(0, people, 1_000):
        users = range(start, min(people, start + 1_000))
        publish_events([Event.of(registered(UUID(int=10_000 + user))) for user in users])


def states(platform: Platform) -> dict[str, int]:
    """The ledger, counted."""
    counted = "SELECT state, count(*) AS n FROM app.notifications GROUP BY state"
    return dict(platform.value(f"SELECT coalesce(jsonb_object_agg(state, n), '{{}}') FROM ({counted}) AS counted"))


@pytest.mark.chaos  # for its length
def test_a_pause_stops_a_batch_between_two_messages_and_mails_nobody_twice(
    platform: Platform, provider: SendGrid
) -> None:
    mails = 40
    provider.always = Behaviour(slow=1)
    welcome(mails)
    worker = platform.worker("notifications", concurrency=1)
    wait_until(lambda: provider.concurrent, what="the first calls")
    assert platform.run("processors", "pause", "email_notification", "--reason", "a test").returncode == 0
    begun = provider.requests
    wait_until(lambda: worker.said("what is left of its batch waits"), what="the end of the batch")
    wait_until(lambda: not states(platform).get("sending"), what="the calls that had begun")
    stopped = states(platform)
    assert stopped["sent"] < mails
    assert provider.requests <= begun + 16, "two calls of a second in each of its eight threads"
    assert platform.value("SELECT count(*) FROM events.attempts") == 0
    assert platform.value("SELECT count(*) FROM app.processed_events") <= stopped["sent"]
    provider.always = Behaviour()
    assert platform.run("processors", "resume", "email_notification").returncode == 0
    wait_until(lambda: states(platform) == {"sent": mails}, what="the rest")
    assert set(Counter(one.reference for one in provider.accepted).values()) == {1}


@pytest.mark.chaos
def test_a_worker_that_is_killed_in_the_call_mails_nobody_twice(platform: Platform, provider: SendGrid) -> None:
    provider.always = Behaviour(slow=60)
    worker = platform.worker("notifications", FUNDLYHUB_CALL_TIMEOUT="50")
    welcome(1)
    wait_until(lambda: provider.concurrent == 1, what="the call")
    worker.kill()
    provider.always = Behaviour()
    platform.worker("notifications")
    wait_until(lambda: platform.value("SELECT count(*) FROM events.dead_letters"), what="the dead letter")
    assert platform.value("SELECT error_class FROM events.dead_letters") == "OutcomeUnknown"
    assert states(platform) == {"unknown": 1}
    assert len(provider.accepted) == 1


def outage(platform: Platform, provider: SendGrid, mails: int, *, probes: int, workers: int) -> None:
    """Mails wait while the provider is down; it comes back when it has been asked so often in vain."""
    lost = 3
    provider.always = DOWN
    provider.behave(*[RESET] * lost)
    welcome(mails)
    for _ in range(workers):
        platform.worker("notifications", concurrency=1)

    def asked(times: int) -> bool:
        return provider.requests >= times

    wait_until(lambda: asked(5), what="the first failures")
    wait_until(lambda: states(platform).get("queued", 0) >= mails - 30, timeout=120, what="all mails to be planned")
    before = provider.requests
    assert before <= 5 + 8 * workers + 6, "only what was under way when it broke, and probes"
    wait_until(lambda: asked(before + probes), timeout=90, what="probes")
    assert provider.requests <= before + probes + 1
    spent = platform.value("SELECT count(*) FROM events.attempts WHERE attempts > 0")
    assert spent <= 5, "those alone that failed before it opened have spent an attempt"
    assert platform.value("SELECT coalesce(max(attempts), 0) FROM events.attempts") <= 1
    provider.always = Behaviour()
    wait_until(lambda: states(platform).get("sent", 0) == mails - lost, timeout=400, what="the mails")
    wait_until(
        lambda: (
            platform.value("SELECT count(*) FROM app.processed_events WHERE processor = 'email_notification'")
            == mails - lost
        ),
        what="the claims",
    )
    assert states(platform) == {"sent": mails - lost, "unknown": lost}
    letters = platform.value("SELECT array_agg(DISTINCT error_class || ' ' || (error_message ~ 'outcome unknown'))"
                             " FROM events.dead_letters")  # fmt: skip
    assert letters == ["OutcomeUnknown true"]
    assert platform.value("SELECT count(*) FROM events.dead_letters") == lost
    copies = Counter(one.reference for one in provider.accepted)
    assert set(copies.values()) == {1}
    assert len(copies) == mails


@pytest.mark.chaos
def test_an_outage_with_300_mails_waiting_loses_none_and_is_not_stormed(platform: Platform, provider: SendGrid) -> None:
    outage(platform, provider, 300, probes=2, workers=1)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_an_outage_of_ten_minutes_with_10_000_mails_waiting_scaled_to_ten_seconds(
    platform: Platform, provider: SendGrid
) -> None:
    outage(platform, provider, 10_000, probes=4, workers=3)
