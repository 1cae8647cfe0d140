"""What the campaign statistics must be, computed plainly from a list of events by the platform's policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from fundlyhub import DonationCompleted, DonationRefunded, Event

TABLES = ("campaign_stats_projection", "campaign_donors", "donation_anomalies", "donation_facts", "donation_refunds")

Rows = list[tuple[Any, ...]]


def expected(events: Iterable[Event]) -> dict[str, Rows]:
    """The rows of the tables that speak of campaigns and of anomalies."""
    log = sorted({event.position: event for event in events}.values(), key=lambda event: event.position or 0)
    gifts: dict[UUID, tuple[Event, DonationCompleted]] = {}
    refunds: dict[UUID, list[DonationRefunded]] = defaultdict(list)
    anomalies: Rows = []
    for event in log:
        said = event.payload
        if isinstance(said, DonationRefunded):
            refunds[said.donation_id].append(said)
        elif isinstance(said, DonationCompleted) and said.donation_id in gifts:
            anomalies.append((said.donation_id, "completed_twice", event.position))
        elif isinstance(said, DonationCompleted):
            gifts[said.donation_id] = event, said

    rows: dict[tuple[UUID, str], list[tuple[Event, DonationCompleted]]] = defaultdict(list)
    refunded: dict[UUID, Decimal] = {}
    for donation_id, (event, gift) in gifts.items():
        asked = _asked(refunds[donation_id])
        refunded[donation_id] = min(asked, gift.amount)
        if asked > gift.amount:
            anomalies.append((donation_id, "refunded_beyond_gift", event.position))
        rows[gift.campaign_id, gift.currency].append((event, gift))

    stats: Rows = []
    donors: Rows = []
    for (campaign_id, currency), given in sorted(rows.items()):
        gifts_here = [gift for _, gift in given]
        times = [event.timestamp for event, _ in given]
        given_back = sum((refunded[gift.donation_id] for gift in gifts_here), Decimal(0))
        raised = sum((gift.amount for gift in gifts_here), Decimal(0)) - given_back
        average = (raised / len(given)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        who = [gift.donor_id for gift in gifts_here if gift.donor_id]
        largest = max(gift.amount for gift in gifts_here)
        refund_ids = [{r.refund_transaction_id for r in refunds[gift.donation_id]} for gift in gifts_here]
        numbers = (raised, len(given), average, len(set(who)), largest, min(times), max(times))
        stats.append((campaign_id, currency, *numbers, sum(map(len, refund_ids)), given_back))
        donors += [(campaign_id, currency, donor, 1) for donor in sorted(set(who))]
    return {
        "campaign_stats_projection": stats,
        "campaign_donors": donors,
        "donation_anomalies": sorted(anomalies),
    }


def _asked(refunds: list[DonationRefunded]) -> Decimal:
    """What the refunds of one donation, in order of the log, ask for in all."""
    totals = [refund.refund_amount for refund in refunds if _is_of_the_webhook(refund)]
    single: dict[str, Decimal] = {}
    for refund in refunds:
        if not _is_of_the_webhook(refund):
            single.setdefault(refund.refund_transaction_id, refund.refund_amount)
    return max([sum(single.values(), Decimal(0)), *totals])


def _is_of_the_webhook(refund: DonationRefunded) -> bool:
    return refund.campaign_id is not None or refund.initiated_by == "system"
