"""The tools for authors: each finds what is wrong, and lets pass what is right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
import requests
from hypothesis import strategies as st
from sqlalchemy import Connection

from fundlyhub import DonationCompleted, Event, Payload, ProjectionProcessor, publish_event
from fundlyhub.database import get_engine
from fundlyhub.errors import Permanent, Snooze, Transient
from fundlyhub.events.catalogue import PAYLOADS
from fundlyhub.processors.projections import CampaignStatsProcessor
from fundlyhub.settings import Settings
from fundlyhub.testing import apply, assert_converges, build, drain, event
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid, Twilio
from tests.support import ROOT
from tests.support.command import environment

CAMPAIGNS = [UUID(int=n) for n in (1, 2)]
gifts = st.builds(
    lambda campaign, amount: build(DonationCompleted, campaign_id=campaign, amount=amount),
    st.sampled_from(CAMPAIGNS), st.decimals(1, 9, places=2),
)  # fmt: skip
tries: list[int] = []


class LastGiftProcessor(ProjectionProcessor, register=False):
    """Keeps the last donation that came: it does not converge."""

    handles = (DonationCompleted,)
    tables: ClassVar[Sequence[str]] = ("last_gifts",)
    max_attempts = 2

    def handle(self, event: Event, db: Connection) -> None:
        assert isinstance(event.payload, DonationCompleted)
        words = event.payload.donor_name or ""
        tries.append(event.position or 0)
        if words == "again" and tries.count(event.position or 0) == 1:
            raise Transient("not now")
        if words == "never":
            raise Permanent("it cannot be")
        if words == "later":
            raise Snooze("it is too early", seconds=600)
        db.exec_driver_sql(
            "INSERT INTO last_gifts VALUES (%s, %s) ON CONFLICT (campaign_id) DO UPDATE SET amount = excluded.amount",
            (event.payload.campaign_id, event.payload.amount),
        )


@pytest.fixture
def last(settings: Settings) -> Iterator[type[LastGiftProcessor]]:
    with get_engine("analytics").begin() as db:
        db.exec_driver_sql("CREATE TABLE last_gifts (campaign_id uuid PRIMARY KEY, amount numeric)")
    tries.clear()
    yield LastGiftProcessor


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda one: f"{one.event_type}-{one.event_version}")
def test_every_type_is_built_and_can_be_published(payload: type[Payload]) -> None:
    built = Event.of(build(payload))
    assert built.type == payload.event_type
    assert Event.model_validate(built.to_envelope() | {"payload": built.payload_wire()}).payload == built.payload


def test_ids_are_fresh_and_fields_are_given() -> None:
    one, two = (build("donation.completed", currency="EUR") for _ in range(2))
    assert isinstance(one, DonationCompleted)
    assert one.donation_id != two.donation_id
    assert one.currency == "EUR"
    assert event("donation.completed").type == "donation.completed"
    with pytest.raises(Exception, match="currency"):
        build("donation.completed", currency="a lot")


def test_apply_goes_through_the_claims_and_says_why_an_event_is_not_applied(last: type[LastGiftProcessor]) -> None:
    published = publish_event(build(DonationCompleted))
    assert apply(last, [published, build(DonationCompleted)]).outcomes == {"done": 2}
    assert apply(last, [published]).outcomes["done"] == 0
    with pytest.raises(AssertionError, match=r"last_gift: .*Permanent: it cannot be"):
        apply(last, [build(DonationCompleted, donor_name="never")])
    with pytest.raises(AssertionError, match="Snooze"):
        apply(last, [build(DonationCompleted, donor_name="later")])
    assert apply(last, [build(DonationCompleted, donor_name="never")], check=False).outcomes == {"dead": 1}


@pytest.mark.chaos  # for its length
def test_what_does_not_converge_is_found_and_what_does_passes(last: type[LastGiftProcessor]) -> None:
    with pytest.raises(AssertionError, match="last_gifts"):
        assert_converges(last, gifts, examples=50)
    assert_converges(CampaignStatsProcessor, gifts, examples=15)
    with pytest.raises(AssertionError, match="names no tables"):
        assert_converges(type("Nothing", (LastGiftProcessor,), {"tables": ()}, register=False), gifts)


def test_drain_relays_and_applies_all_and_names_what_is_left(last: type[LastGiftProcessor]) -> None:
    known = {last.name: last}
    for name in ("fine", "again"):
        publish_event(build(DonationCompleted, donor_name=name))
    assert drain(known).applied == {"last_gift": 2}
    assert drain(known).applied == {}
    for name in ("never", "later"):
        publish_event(build(DonationCompleted, donor_name=name))
    left = drain(known, check=False)
    assert (left.dead, left.waiting, left.applied) == ({"last_gift": 1}, {"last_gift": 1}, {})
    publish_event(build(DonationCompleted, donor_name="never"))
    with pytest.raises(AssertionError, match=r"not applied: .*it cannot be"):
        drain(known)


def test_drain_applies_what_a_person_is_to_be_told_and_the_mail_is_there(settings: Settings) -> None:
    publish_event(build("user.registered", email="ann@example.org"))
    assert drain().applied["email_notification"] == 1
    assert len([*(settings.data_dir / "outbox").rglob("*.eml")]) == 1


def test_the_fakes_say_how_a_process_comes_to_them(tmp_path: Path) -> None:
    with SendGrid.running() as mailer, Fcm.running() as pusher, Twilio.running() as texter:
        for fake in (mailer, pusher, texter):
            names = {name.removeprefix("FUNDLYHUB_").lower() for name in fake.variables(tmp_path)}
            assert names <= set(Settings.model_fields)
        mailer.behave(Behaviour(429))
        assert requests.post(f"{mailer.url}/v3/mail/send", data=b"{}", timeout=5).status_code == 429


TEST = """
pytest_plugins = ["fundlyhub.testing.plugin"]

from fundlyhub import publish_event
from fundlyhub.testing import build, drain

def test_it(fundlyhub_settings):
    publish_event(build("user.registered"))
    assert drain().applied["email_notification"] == 1

def test_each_has_a_database_of_its_own(fundlyhub_settings):
    assert drain().applied == {}
"""


@pytest.mark.chaos  # for its length
def test_the_plug_in_is_loaded_by_name_alone_and_production_loads_no_tools(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:docker_tools", "-p", "no:celery"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"], cwd=tmp_path, env=environment({}),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--fixtures"], cwd=empty,
        env=environment({}), capture_output=True, text=True, check=False, timeout=60,
    ).stdout  # fmt: skip
    assert "fundlyhub_dsn" not in shown
    code = "import fundlyhub.celery, fundlyhub.cli.main, fundlyhub.cli.up, sys; print({'pytest', 'hypothesis'} & set(sys.modules))"  # noqa: E501
    variables = environment({"FUNDLYHUB_BROKER_URL": "redis://127.0.0.1:1/0"})
    loaded = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
    assert "pytest11" not in (ROOT / "pyproject.toml").read_text()
