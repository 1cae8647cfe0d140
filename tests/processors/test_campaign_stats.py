"""The campaign statistics, one rule of the platform's policy at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.event import listen

from fundlyhub import DonationCompleted, DonationRefunded, Event
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor, waiting
from fundlyhub.testing import convergence
from tests.processors.campaign_stats_oracle import TABLES
from tests.support.make import completed, refunded

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
CAMPAIGN, OTHER_CAMPAIGN, DONATION, DONOR = (UUID(int=number) for number in (1, 2, 3, 4))


def stored(engine: Engine) -> dict[str, convergence.Rows]:
    """Every row of every table of the processor."""
    return convergence.stored(engine, TABLES)


def at(position: int, payload: DonationCompleted | DonationRefunded, *, hour: int = 0) -> Event:
    event = Event.of(payload, timestamp=START + timedelta(hours=hour))
    return event.model_copy(update={"position": position})


def gift(amount: str = "10.00", **fields: Any) -> DonationCompleted:
    return completed(CAMPAIGN, **{"amount": Decimal(amount), **fields})


def apply(engine: Engine, *batch: Event) -> None:
    with engine.begin() as db:
        CampaignStatsProcessor().handle_batch(batch, db)


def row(engine: Engine, campaign_id: UUID = CAMPAIGN, currency: str = "USD") -> dict[str, Any]:
    """The statistics of one campaign, as others read them."""
    with engine.begin() as db:
        found = db.exec_driver_sql(
            "SELECT * FROM campaign_stats_projection WHERE campaign_id = %s AND currency = %s", (campaign_id, currency)
        )
        return dict(found.mappings().one())


def anomalies(engine: Engine) -> list[tuple[Any, ...]]:
    return stored(engine)["donation_anomalies"]


def test_gifts_are_counted_per_campaign_and_currency(analytics: Engine) -> None:
    apply(
        analytics,
        at(1, gift("10.00", donor_id=DONOR), hour=3),
        at(2, gift("25.50", donor_id=DONOR), hour=1),
        at(3, gift("4.49", donor_id=None), hour=2),
        at(4, gift("7", currency="EUR", donor_id=DONOR)),
    )
    assert row(analytics) == {
        "campaign_id": CAMPAIGN,
        "currency": "USD",
        "total_raised": Decimal("39.99"),
        "donation_count": 3,
        "average_donation": Decimal("13.3300"),
        "unique_donors": 1,
        "largest_donation": Decimal("25.50"),
        "first_donation_at": START + timedelta(hours=1),
        "last_donation_at": START + timedelta(hours=3),
        "refund_count": 0,
        "total_refunded": 0,
    }
    assert row(analytics, currency="EUR")["total_raised"] == 7


def test_the_average_has_four_places_even_of_the_largest_sums(analytics: Engine) -> None:
    most = "1000000000000"
    apply(analytics, *[at(n, gift(most)) for n in range(40)], at(40, gift("0.01")), at(41, gift("0.01")))
    assert row(analytics)["average_donation"] == Decimal("952380952380.9529")


def test_refunds_lower_the_total_and_nothing_else(analytics: Engine) -> None:
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)), at(2, gift("20.00")))
    before = row(analytics)
    apply(analytics, at(3, refunded(DONATION, "2.50"), hour=9), at(4, refunded(DONATION, "1.50"), hour=9))
    assert row(analytics) == before | {
        "total_raised": Decimal("26.00"),
        "average_donation": Decimal("13.0000"),
        "refund_count": 2,
        "total_refunded": Decimal("4.00"),
    }


def test_a_refund_that_comes_first_waits_for_its_donation(analytics: Engine) -> None:
    apply(analytics, at(2, refunded(DONATION, "4.00")))
    assert stored(analytics)["campaign_stats_projection"] == []
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)))
    assert row(analytics)["total_raised"] == 6


def test_a_refund_counts_once_however_often_it_is_told(analytics: Engine) -> None:
    told = [at(n, refunded(DONATION, "3.00", refund_transaction_id="re_1")) for n in (2, 3)]
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)), *told)
    apply(analytics, told[1])
    assert row(analytics)["total_refunded"] == 3
    assert row(analytics)["refund_count"] == 1


def test_the_first_telling_of_a_refund_counts(analytics: Engine) -> None:
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)))
    apply(analytics, at(5, refunded(DONATION, "9.00", refund_transaction_id="re_1")))
    apply(analytics, at(4, refunded(DONATION, "3.00", refund_transaction_id="re_1")))
    assert row(analytics)["total_refunded"] == 3


@pytest.mark.parametrize("ids", [("ch_1", "ch_1"), ("re_1", "re_2")], ids=["one id", "two ids"])
def test_of_cumulative_refunds_the_highest_counts(analytics: Engine, ids: tuple[str, str]) -> None:
    first, second = (
        at(n, refunded(DONATION, amount, refund_transaction_id=name, initiated_by="system"))
        for n, amount, name in ((2, "3.00", ids[0]), (3, "8.00", ids[1]))
    )
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)), second)
    apply(analytics, first)
    assert row(analytics)["total_refunded"] == 8


@pytest.mark.parametrize("initiated_by", ["system", DONOR], ids=["by nobody known", "by a known person"])
@pytest.mark.parametrize("order", list(permutations([2, 3, 4])), ids=str)
def test_what_the_payment_webhook_tells_is_what_was_returned_so_far(
    analytics: Engine, order: tuple[int, ...], initiated_by: Any
) -> None:
    """Returned were 10, then 20 more: the API and the webhook both tell of the first 10."""
    told = {
        2: refunded(DONATION, "10.00", refund_transaction_id="re_1"),
        3: refunded(DONATION, "10.00", refund_transaction_id="re_1", initiated_by=initiated_by, campaign_id=CAMPAIGN),
        4: refunded(DONATION, "30.00", refund_transaction_id="re_2", initiated_by=initiated_by, campaign_id=CAMPAIGN),
    }
    apply(analytics, at(1, gift("50.00", donation_id=DONATION)))
    for position in order:
        apply(analytics, at(position, told[position]))
    assert row(analytics)["total_refunded"] == 30
    assert row(analytics)["refund_count"] == 2


@pytest.mark.parametrize(("webhook", "total"), [("3.00", 4), ("9.00", 9)], ids=["lags behind", "knows of more"])
def test_the_larger_of_both_totals_counts_since_both_may_tell_of_one_refund(
    analytics: Engine, webhook: str, total: int
) -> None:
    apply(
        analytics,
        at(1, gift("10.00", donation_id=DONATION)),
        at(2, refunded(DONATION, webhook, initiated_by="system")),
        at(3, refunded(DONATION, "3.00")),
        at(4, refunded(DONATION, "1.00")),
    )
    assert row(analytics)["total_refunded"] == total


def test_a_refund_id_in_both_shapes_counts_for_both_totals(analytics: Engine) -> None:
    """The webhook is late with the second refund, and quick with the first."""
    apply(
        analytics,
        at(1, gift("50.00", donation_id=DONATION)),
        at(2, refunded(DONATION, "10.00", refund_transaction_id="re_1", campaign_id=CAMPAIGN)),
        at(3, refunded(DONATION, "10.00", refund_transaction_id="re_1")),
        at(4, refunded(DONATION, "20.00", refund_transaction_id="re_2")),
    )
    assert row(analytics)["total_refunded"] == 30


def test_a_refund_that_an_earlier_release_misread_is_put_right_when_it_is_applied_again(analytics: Engine) -> None:
    misread = """
        UPDATE donation_refunds SET cumulative = false, highest = NULL;
        UPDATE donation_facts SET refunded = 40;
        UPDATE campaign_stats_projection SET total_raised = 10, total_refunded = 40;
    """
    told = [at(2, refunded(DONATION, "10.00")), at(3, refunded(DONATION, "30.00", campaign_id=CAMPAIGN))]
    apply(analytics, at(1, gift("50.00", donation_id=DONATION)), *told)
    right = stored(analytics)
    with analytics.begin() as db:
        db.exec_driver_sql(misread)
    apply(analytics, told[1])
    assert stored(analytics) == right


def test_refunds_beyond_the_gift_count_up_to_it_and_are_an_anomaly(analytics: Engine) -> None:
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)), at(2, gift("5.00")))
    apply(analytics, at(3, refunded(DONATION, "8.00")), at(4, refunded(DONATION, "8.00")))
    assert row(analytics)["total_raised"] == 5
    assert row(analytics)["total_refunded"] == 10
    assert anomalies(analytics) == [(DONATION, "refunded_beyond_gift", 1)]


def test_an_excess_that_turns_out_to_be_none_is_forgotten(analytics: Engine) -> None:
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)))
    apply(analytics, at(5, refunded(DONATION, "11.00", refund_transaction_id="re_1")))
    apply(analytics, at(4, refunded(DONATION, "2.00", refund_transaction_id="re_1")))
    assert row(analytics)["total_raised"] == 8
    assert anomalies(analytics) == []


def test_of_two_completions_the_earlier_counts(analytics: Engine) -> None:
    apply(analytics, at(1, gift("10.00", donation_id=DONATION)))
    apply(analytics, at(2, gift("99.00", donation_id=DONATION)))
    assert row(analytics)["total_raised"] == 10
    assert anomalies(analytics) == [(DONATION, "completed_twice", 2)]


def test_a_completion_that_turns_out_to_be_the_second_is_taken_back(analytics: Engine) -> None:
    apply(analytics, at(1, gift("5.00", donor_id=DONOR), hour=5))
    before = stored(analytics)["campaign_stats_projection"]
    apply(analytics, at(9, gift("99.00", donation_id=DONATION, donor_id=DONOR), hour=9))
    apply(analytics, at(2, completed(OTHER_CAMPAIGN, donation_id=DONATION, donor_id=DONOR), hour=2))
    after = stored(analytics)["campaign_stats_projection"]
    assert after[:1] == before
    assert [found[0] for found in after] == [CAMPAIGN, OTHER_CAMPAIGN]
    assert anomalies(analytics) == [(DONATION, "completed_twice", 9)]


def test_a_campaign_whose_only_gift_went_elsewhere_has_no_row(analytics: Engine) -> None:
    apply(analytics, at(9, gift(donation_id=DONATION, donor_id=DONOR)))
    apply(analytics, at(2, completed(OTHER_CAMPAIGN, donation_id=DONATION, donor_id=None)))
    assert [found[0] for found in stored(analytics)["campaign_stats_projection"]] == [OTHER_CAMPAIGN]
    assert stored(analytics)["campaign_donors"] == []


def test_a_second_delivery_changes_nothing(analytics: Engine) -> None:
    batch = [at(1, gift(donation_id=DONATION)), at(2, refunded(DONATION, "1.00")), at(3, gift())]
    apply(analytics, *batch)
    before = stored(analytics)
    apply(analytics, *batch, *batch)
    apply(analytics, batch[0])
    assert stored(analytics) == before


def test_no_decimal_of_a_refund_is_lost(analytics: Engine) -> None:
    tiny = "0." + "0" * 60 + "1"
    apply(analytics, at(1, gift("1000000000000", donation_id=DONATION)), at(2, refunded(DONATION, tiny)))
    found = row(analytics)
    assert found["total_refunded"] == Decimal(tiny)
    assert str(found["total_raised"]) == "9" * 12 + "." + "9" * 61


def test_a_batch_of_plain_new_gifts_takes_three_statements(analytics: Engine) -> None:
    statements: list[str] = []
    batch = [at(n, gift(donor_id=uuid4())) for n in range(500)]
    with analytics.begin() as db:
        waiting.must_wait(db)  # which is asked once a second
        listen(db, "before_cursor_execute", lambda *args: statements.append(args[2]))
        CampaignStatsProcessor().handle_batch(batch, db)
    assert len(statements) == 3
    assert row(analytics)["donation_count"] == 500


def test_an_empty_batch_is_no_error(analytics: Engine) -> None:
    apply(analytics)
