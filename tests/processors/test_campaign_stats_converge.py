"""Any order of the same events, with any duplication and in any batches, ends in the same rows."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import DonationCompleted, DonationRefunded
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from fundlyhub.testing.convergence import (
    Delivered,
    Subject,
    at_once_and_alone,
    deliveries,
    in_order_and_as_delivered,
    logged,
)
from tests.processors.campaign_stats_oracle import TABLES, expected
from tests.support.make import completed, refunded

Payload = DonationCompleted | DonationRefunded

DONATIONS, CAMPAIGNS, DONORS, STAFF = ([UUID(int=100 * kind + n) for n in range(9)] for kind in range(1, 5))

# Few of each, so that events meet: the same donation twice, the same refund id, the same donor.
money = st.one_of(
    st.integers(1, 400).map(lambda quarters: Decimal(quarters) / 4),
    st.integers(1, 99_999).map(lambda fils: Decimal(fils) / 1000),
)
completions = st.builds(
    lambda donation, campaign, donor, amount, currency: completed(
        campaign, donation_id=donation, donor_id=donor, amount=amount, currency=currency
    ),
    st.sampled_from(DONATIONS[:5]),
    st.sampled_from(CAMPAIGNS[:2]),
    st.sampled_from([None, *DONORS[:2]]),
    st.integers(1, 400).map(lambda quarters: Decimal(quarters) / 4),
    st.sampled_from(["USD", "EUR", "KWD"]),
)
refunds = st.builds(
    lambda donation, amount, refund_id, by, told_by: refunded(
        donation, str(amount), refund_transaction_id=refund_id, initiated_by=by, campaign_id=told_by
    ),
    st.sampled_from(DONATIONS[:5]),
    money,
    st.sampled_from(["re_1", "re_2", "re_3"]),
    st.sampled_from(["system", STAFF[0]]),
    st.sampled_from([None, None, CAMPAIGNS[0]]),  # the payment webhook names the campaign
)


@pytest.fixture
def stats(analytics: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(CampaignStatsProcessor, tuple(TABLES), analytics)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivered=deliveries(st.one_of(completions, refunds)))
@pytest.mark.chaos  # for its length
def test_any_order_duplication_and_split_ends_in_the_same_rows(stats: Subject, delivered: Delivered) -> None:
    in_order, found = in_order_and_as_delivered(stats, delivered)
    assert found == in_order
    should = expected(delivered[0])
    assert {name: found[name] for name in should} == should


@pytest.mark.parametrize("seed", range(3))
def test_batches_that_run_at_once_never_deadlock_and_end_in_exact_rows(stats: Subject, seed: int) -> None:
    random = Random(seed)
    log = logged(_busy(random), random)
    at_once, alone = at_once_and_alone(stats, log, random)
    should = expected(log)
    assert {name: at_once[name] for name in should} == should
    assert at_once == alone


def _busy(random: Random) -> list[Payload]:
    """Gifts to few campaigns by few donors: many completed twice, elsewhere and by others, many refunded."""
    donations = [UUID(int=random.getrandbits(128)) for _ in range(300)]
    payloads: list[Payload] = []
    for donation in donations:
        times = random.choice([1, 1, 2, 3])
        payloads += [completed(**_some(random), donation_id=donation) for _ in range(times)]
        for _ in range(random.choice([0, 0, 1, 2])):
            by: Any = random.choice(["system", STAFF[0]])
            refund_id = random.choice(["re_1", "re_2"])
            amount = str(random.randrange(1, 60))
            told_by = random.choice([None, CAMPAIGNS[0]])
            payloads.append(
                refunded(donation, amount, refund_transaction_id=refund_id, initiated_by=by, campaign_id=told_by)
            )
    random.shuffle(payloads)
    return payloads


def _some(random: Random) -> dict[str, Any]:
    return {
        "campaign_id": random.choice(CAMPAIGNS[:3]),
        "donor_id": random.choice([None, *DONORS]),
        "amount": Decimal(random.randrange(1, 100)),
        "currency": random.choice(["USD", "EUR"]),
    }
