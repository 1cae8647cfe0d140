"""One trace runs from a request of the example service to the mail, through real processes that export it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub.testing.providers import SendGrid
from tests.api_service.service import campaign, done, running, user
from tests.notifications.conftest import close_breakers
from tests.support.collector import Collector, collecting
from tests.support.platform import Platform, wait_until

CALLER = "00f067aa0ba902b7"
"""The span of whoever calls the API."""
KNOWN = "SELECT count(*) FROM app.entities"
"""The two users and the campaign: without them a message waits, and is another attempt."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where the processes send their spans."""
    with collecting() as ready:
        yield ready


@pytest.mark.timeout(900)
@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
@pytest.mark.chaos  # for its length
def test_one_trace_runs_from_the_post_to_the_mail(platform: Platform, collector: Collector) -> None:
    close_breakers()
    with SendGrid.running() as provider:
        platform.environment |= {
            **collector.environment,
            "FUNDLYHUB_PROCESSORS": "",
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_SENDGRID_BASE_URL": provider.url,
        }
        relay = platform.relay()
        worker = platform.worker("writes,projections,notifications,broadcasts")
        with running(platform) as api:
            ada, ben = user(api, "Ada"), user(api, "Ben")
            opened = campaign(api, ada)
            wait_until(lambda: len(provider.accepted) == 2, what="two welcomes")
            wait_until(lambda: platform.value(KNOWN) == 3, what="what the messages have to know")
            trace = uuid4().hex
            body = {"campaign_id": opened, "donor_id": ben, "amount": "25"}
            done(api.post("/donations", json=body, headers={"traceparent": f"00-{trace}-{CALLER}-01"}))
            wait_until(lambda: len(provider.accepted) == 4, what="the receipt, and news for the owner")
            platform.wait_applied("campaign_stats", 1)
        assert worker.terminate() == relay.terminate() == 0

    def one(name: str) -> Any:
        (found,) = collector.named(name, trace=trace)
        return found

    request, published = one("POST /donations"), one("publish donation.completed")
    relayed, mailed = one("relay"), one("process email_notification")
    assert request.parent == CALLER
    assert one("fastapi.endpoint").parent == request.id
    assert published.parent == one("fastapi.endpoint").id
    assert relayed.parent == mailed.parent == one("process campaign_stats").parent == published.id
    calls = collector.named("send sendgrid", trace=trace)
    assert [call.parent for call in calls] == [mailed.id] * 2, "a receipt, and the owner is told"
    services = [span.service for span in (request, published, relayed, mailed)]
    assert services == ["example-api", "example-api", "fundlyhub-relay", "fundlyhub-worker"]
    event = published.attributes["fundlyhub.event.id"]
    assert mailed.attributes == {
        "fundlyhub.processor": "email_notification",
        "fundlyhub.event.id": event,
        "fundlyhub.event.type": "donation.completed",
        "fundlyhub.event.position": relayed.attributes["fundlyhub.event.position"],
        "fundlyhub.attempt": 1,
        "fundlyhub.outcome": "done",
    }
    everything = b"".join(collector.raw)
    for private in (b"Ada", b"Ben", b"example.org", b"Orchestra", opened.encode(), ben.encode()):
        assert private not in everything
