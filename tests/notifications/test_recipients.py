"""Recipients: any order, duplication and company of events ends in the rows of the ordered run; nothing of who left."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundlyhub import Payload
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.admin import AdminUserDeleted
from fundlyhub.events.catalogue.payout import PayoutRequested
from fundlyhub.events.catalogue.user import UserLoggedIn, UserProfileUpdated, UserRegistered
from fundlyhub.processors.writes import RecipientWriteProcessor
from fundlyhub.settings import Settings
from fundlyhub.testing.convergence import (
    START,
    Delivered,
    Subject,
    at_once_and_alone,
    deliveries,
    in_order_and_as_delivered,
    logged,
    overlapping,
)
from tests.notifications.post import ME, Post, registered
from tests.processors.strategies import DONATIONS, USERS, entity_payloads, gifts, many, returns
from tests.support.make import completed, refunded

TABLES = ("contacts", "gift_donors", "gift_refunds", "payout_requests", "sign_ins", "entity_fields")

addresses = st.sampled_from(["a@example.org", "b@example.org"])
payloads: st.SearchStrategy[Payload] = st.one_of(
    entity_payloads,
    gifts,
    returns,
    st.builds(
        lambda user, email: UserProfileUpdated(user_id=user, changes={"email": email}),
        st.sampled_from(USERS[:3]),
        addresses,
    ),
    st.builds(
        lambda donation, email: completed(donation_id=donation, donor_id=None, donor_email=email),
        st.sampled_from(DONATIONS[:3]),
        addresses,
    ),
    st.builds(
        lambda one, amount: PayoutRequested(
            request_id=DONATIONS[one], user_id=USERS[one], fundraiser_id=None, bank_account_id=USERS[5],
            amount_str=amount, currency="EUR", is_first_payout=True, risk_score=0,
        ),
        st.integers(0, 2),
        st.sampled_from(["1.00", "2.00"]),
    ),
    st.builds(
        lambda user, ip, browser: UserLoggedIn(user_id=user, ip_address=ip, user_agent=browser, timestamp=START),
        st.sampled_from(USERS[:3]),
        st.sampled_from(["192.0.2.1", "192.0.2.200", "2001:db8::1", "not an address", None]),
        st.sampled_from(["Firefox", None]),
    ),
)  # fmt: skip


@pytest.fixture
def subject(settings: Settings) -> Subject:
    """The processor with its tables."""
    return Subject(RecipientWriteProcessor, TABLES, get_engine("app"))


@many
@given(delivered=deliveries(payloads.filter(lambda one: one.event_type in RecipientWriteProcessor.patterns())))
@pytest.mark.chaos  # for its length
def test_any_order_ends_in_the_same_rows(subject: Subject, delivered: Delivered) -> None:
    in_order, as_delivered = in_order_and_as_delivered(subject, delivered)
    assert as_delivered == in_order


def test_six_workers_at_once_end_in_the_same_rows(subject: Subject) -> None:
    random = Random(7)
    log = logged(
        [registered(random.choice(USERS), email=f"{n}@example.org") for n in range(100)]
        + [AdminUserDeleted(user_id=USERS[0], deleted_by=USERS[5])]
        + [completed(donation_id=random.choice(DONATIONS), amount=Decimal(n + 1)) for n in range(100)]
        + [refunded(random.choice(DONATIONS), str(n + 1), refund_transaction_id="re_1") for n in range(40)],
        random,
    )
    at_once, alone = at_once_and_alone(subject, log, random)
    assert at_once == alone


@pytest.mark.parametrize("turned", [False, True])
def test_two_workers_that_meet_at_a_contact_lose_nothing(subject: Subject, turned: bool) -> None:
    log = logged([registered(ME), UserProfileUpdated(user_id=ME, changes={"email": "new@example.org"})], Random(1))
    subject.apply(log)
    alone = subject.stored()
    subject.empty()
    first, second = (log[:1], log[1:]) if not turned else (log[1:], log[:1])
    assert overlapping(subject, first, second) == alone


def test_what_the_api_has_written_stays_until_an_event_knows_better(settings: Settings) -> None:
    post = Post()
    post.sql("INSERT INTO app.contacts (user_id, email, phone, locale) VALUES (%s, 'api@example.org', '+1', 'de')", ME)
    post.known(UserProfileUpdated(user_id=ME, changes={"name": "Ann"}))
    assert post.rows("SELECT name, email, phone, locale FROM app.contacts") == [("Ann", "api@example.org", "+1", "de")]
    post.known(UserRegistered(user_id=ME, email="new@example.org", registration_method="email"))
    assert post.rows("SELECT name, email FROM app.contacts") == [("Ann", "new@example.org")]


def test_nothing_is_kept_of_who_is_deleted_whatever_comes_late(settings: Settings) -> None:
    post = Post()
    post.people(ME)
    early = post.publish(UserProfileUpdated(user_id=ME, changes={"email": "late@example.org"}))
    post.known(AdminUserDeleted(user_id=ME, deleted_by=UUID(int=9)))
    post.run(RecipientWriteProcessor, early)
    assert post.rows("SELECT name, email, phone, deleted FROM app.contacts") == [(None, None, None, True)]
    assert post.column("SELECT count(*) FROM app.devices") == [0]
    kept = "SELECT value::text FROM app.entity_fields WHERE kind = 'contact' AND field IN ('email', 'name')"
    assert set(post.column(kept)) == {"null"}


def test_the_place_of_a_sign_in_is_a_hash_of_its_network(settings: Settings) -> None:
    post = Post()
    for ip in ("192.0.2.1", "192.0.2.99", "192.0.3.1"):
        post.known(UserLoggedIn(user_id=ME, ip_address=ip, user_agent="Firefox", timestamp=START))
    places = post.column("SELECT place FROM app.sign_ins")
    assert len(places) == 2
    assert not any("192" in place[:3] or "Firefox" in place for place in places)
