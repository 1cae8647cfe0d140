"""Real workers: while many are told, a single person is told as if nothing else went on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from uuid import UUID

import pytest

from fundlyhub import publish_events
from fundlyhub.events import Event
from fundlyhub.events.catalogue.project import ProjectUpdateCreated
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.conftest import close_breakers
from tests.notifications.post import ME, WELLS, registered
from tests.support.make import campaign
from tests.support.platform import Platform, wait_until

OTHER = UUID(int=12)
MANY = 300
SENT = (
    "SELECT count(*) FROM app.notifications WHERE template = 'project_update' AND channel = 'email' AND state = 'sent'"
)
OF_CAMPAIGN = SENT + " AND event_id = (SELECT id FROM events.events WHERE payload ->> 'updateId' = %s)"
WELCOMED = "SELECT count(*) FROM app.notifications WHERE template = 'welcome' AND state = 'sent'"
CLAIMS = "SELECT count(*) FROM app.processed_events WHERE processor = %s"


def update(number: int, of: UUID = WELLS) -> Event:
    """News of a campaign."""
    return Event.of(
        ProjectUpdateCreated(
            update_id=UUID(int=number),
            fundraiser_id=of,
            title="Water",
            body="It runs.",
            author_id=ME,
            visibility="public",
        )
    )


@pytest.fixture
def followed(platform: Platform) -> Iterator[tuple[Platform, SendGrid]]:
    """Two campaigns with so many followers each, and a provider that takes its time."""
    close_breakers()
    with SendGrid.running() as fake:
        platform.environment |= {
            "FUNDLYHUB_PROCESSORS": "",
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_SENDGRID_BASE_URL": fake.url,
            "FUNDLYHUB_NOTIFICATION_LEASE": "5",
        }
        platform.relay()
        platform.worker("writes,projections,notifications")
        known = [campaign(one, user_id=ME, title="Wells", slug=f"wells-{one.int}") for one in (WELLS, OTHER)]
        publish_events([Event.of(one) for one in (registered(ME), *known)])
        wait_until(lambda: platform.value(WELCOMED) == 1, what="the platform to be at work")
        platform.execute(
            "INSERT INTO app.contacts (user_id, name, email) SELECT ('00000000-0000-0000-0001-' || lpad(n::text, 12,"
            " '0'))::uuid, 'Follower', 'u' || n || '@example.org' FROM generate_series(1, %s) AS n", MANY,
        )  # fmt: skip
        follows = (
            "INSERT INTO app.follows SELECT user_id, 'campaign', given, now(), 1, true"
            " FROM app.contacts, unnest(%s::uuid[]) AS given WHERE name = 'Follower'"
        )
        platform.execute(follows, [WELLS, OTHER])
        yield platform, fake
        fake.ended.set()


def welcomed(platform: Platform, people: int) -> bool:
    """Whether so many have been welcomed."""
    return bool(platform.value(WELCOMED) == people)


def accepted(fake: SendGrid, mails: int) -> bool:
    """Whether the provider has taken so many."""
    return len(fake.accepted) >= mails


@pytest.mark.chaos  # for its length
def test_a_mail_to_one_goes_out_while_many_are_still_to_be_told(followed: tuple[Platform, SendGrid]) -> None:
    platform, fake = followed
    fake.always = Behaviour(slow=3.0)  # a minute for all of them, whatever else the machine does
    platform.worker("broadcasts", concurrency=1)
    publish_events([update(5)])
    wait_until(lambda: platform.value(SENT) > 0, what="the first of many")
    for number in range(2):
        publish_events([Event.of(registered(UUID(int=900_000 + number)))])
        wait_until(partial(welcomed, platform, number + 2), what="a welcome")
        assert platform.value(SENT) < MANY, "it did not wait for the others"
    fake.always = Behaviour()
    wait_until(lambda: platform.value(CLAIMS, "email_broadcast") == 1, what="the end of the broadcast")
    assert platform.value(SENT) == MANY


@pytest.mark.chaos  # for its length
def test_two_updates_share_one_worker_slice_by_slice(followed: tuple[Platform, SendGrid]) -> None:
    platform, fake = followed
    fake.always = Behaviour(slow=1.0)  # 16 a second and worker: neither is told to the end in one slice
    platform.worker("broadcasts", concurrency=1)
    publish_events([update(5), update(6, OTHER)])
    numbers = [str(UUID(int=n)) for n in (5, 6)]
    wait_until(lambda: all(platform.value(OF_CAMPAIGN, one) > 0 for one in numbers), what="both to be begun")
    assert all(platform.value(OF_CAMPAIGN, one) < MANY for one in numbers), "neither waited for the other's end"


@pytest.mark.chaos
def test_workers_that_are_killed_again_and_again_tell_everybody_and_nobody_twice(
    followed: tuple[Platform, SendGrid],
) -> None:
    platform, fake = followed
    fake.always = Behaviour(slow=0.05)
    publish_events([update(5)])
    for kill in range(1, 4):
        worker = platform.worker("broadcasts", concurrency=1)
        wait_until(partial(accepted, fake, kill * 40), what="some to be told")
        worker.kill()
    platform.worker("broadcasts", concurrency=1)
    open_ = (
        "SELECT count(*) FROM app.notifications WHERE template = 'project_update' AND state IN ('queued', 'sending')"
    )
    finished = "SELECT count(*) FROM app.broadcasts WHERE channel = 'email' AND finished_at IS NOT NULL"
    wait_until(lambda: platform.value(finished) and not platform.value(open_), timeout=180, what="all to be told")
    copies = Counter(one.reference for one in fake.accepted)
    assert max(copies.values()) == 1
    unknown = "SELECT count(*) FROM app.notifications WHERE state = 'unknown'"
    assert platform.value(SENT) + platform.value(unknown) == MANY
    assert platform.value(unknown) <= 3 * 16
