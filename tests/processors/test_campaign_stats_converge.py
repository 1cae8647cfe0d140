"""Any order of the same events, with any duplication and in any batches, ends in the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fundlyhub import DonationCompleted, DonationRefunded, Event
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor
from tests.processors.campaign_stats_oracle import empty, expected, stored
from tests.support.make import completed, refunded

Payload = DonationCompleted | DonationRefunded

DONATIONS, CAMPAIGNS, DONORS, STAFF = ([UUID(int=100 * kind + n) for n in range(9)] for kind in range(1, 5))
START = datetime(2026, 1, 1, tzinfo=UTC)

# Few of each, so that events meet: the same donation twice, the same refund id, the same donor.
money = st.integers(1, 400).map(lambda quarters: Decimal(quarters) / 4)
completions = st.builds(
    lambda donation, campaign, donor, amount, currency: completed(
        campaign, donation_id=donation, donor_id=donor, amount=amount, currency=currency
    ),
    st.sampled_from(DONATIONS[:5]),
    st.sampled_from(CAMPAIGNS[:2]),
    st.sampled_from([None, *DONORS[:2]]),
    money,
    st.sampled_from(["USD", "EUR"]),
)
refunds = st.builds(
    lambda donation, amount, refund_id, by: refunded(
        donation, str(amount), refund_transaction_id=refund_id, initiated_by=by
    ),
    st.sampled_from(DONATIONS[:5]),
    money,
    st.sampled_from(["re_1", "re_2", "re_3"]),
    st.sampled_from(["system", STAFF[0]]),
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """A log of events, and the batches that they come in: shuffled, each event at least once."""
    payloads = draw(st.lists(st.one_of(completions, refunds), min_size=1, max_size=14))
    log = logged(payloads, draw(st.randoms(use_true_random=False)))
    again = draw(st.lists(st.sampled_from(log), max_size=6))
    order = draw(st.permutations(log + again))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=5)))
    return log, [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def logged(payloads: Sequence[Payload], random: Random) -> list[Event]:
    """The events of these payloads, at times that do not follow the positions."""
    return [
        Event.of(payload, timestamp=START + timedelta(minutes=random.randrange(1000))).model_copy(
            update={"position": position}
        )
        for position, payload in enumerate(payloads, 1)
    ]


def apply(engine: Engine, batch: Sequence[Event]) -> None:
    """One batch in one transaction; a deadlock would raise."""
    with engine.begin() as db:
        CampaignStatsProcessor().handle_batch(batch, db)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivered=deliveries())
def test_any_order_duplication_and_split_ends_in_the_same_rows(
    analytics: Engine, delivered: tuple[list[Event], list[list[Event]]]
) -> None:
    log, batches = delivered
    for event in log:
        apply(analytics, [event])
    in_order = stored(analytics)
    empty(analytics)
    for batch in batches:
        apply(analytics, batch)
    found = stored(analytics)
    empty(analytics)
    assert found == in_order
    assert {name: found[name] for name in expected(log)} == expected(log)


@pytest.mark.parametrize("seed", range(3))
def test_batches_that_run_at_once_never_deadlock_and_end_in_exact_rows(analytics: Engine, seed: int) -> None:
    random = Random(seed)
    log = logged(_busy(random), random)
    threads = 6
    ready = Barrier(threads)

    def deliver(order: list[Event]) -> None:
        ready.wait(30)
        for start in range(0, len(order), 40):
            apply(analytics, order[start : start + 40])

    # Each event reaches two of the threads, in another order each time.
    orders: list[list[Event]] = [[] for _ in range(threads)]
    for event in log:
        for order in random.sample(orders, 2):
            order.append(event)
    for order in orders:
        random.shuffle(order)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(deliver, orders))
    found = stored(analytics)
    assert {name: found[name] for name in expected(log)} == expected(log)
    empty(analytics)
    apply(analytics, log)
    assert stored(analytics) == found


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
            payloads.append(refunded(donation, amount, refund_transaction_id=refund_id, initiated_by=by))
    random.shuffle(payloads)
    return payloads


def _some(random: Random) -> dict[str, Any]:
    return {
        "campaign_id": random.choice(CAMPAIGNS[:3]),
        "donor_id": random.choice([None, *DONORS]),
        "amount": Decimal(random.randrange(1, 100)),
        "currency": random.choice(["USD", "EUR"]),
    }
