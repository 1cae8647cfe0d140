"""The processor of the campaign statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import localcontext
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import get_engine
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationRefunded
from fundlyhub.processing import AggregateRows, DerivedTable, ProjectionProcessor
from fundlyhub.processors.projections.campaign_stats import facts, stats, waiting
from fundlyhub.processors.projections.campaign_stats.deltas import Deltas, differences
from fundlyhub.processors.projections.campaign_stats.fold import Fact, News, fold
from fundlyhub.processors.shared.event_ids import names_event
from fundlyhub.processors.shared.refunds import EXACT, Refunds

_UNKNOWN = Fact(None)
_refunds = Refunds("donation_refunds")

_OF_DONATIONS = "donation_id = ANY (%(donations)s::uuid[])"
_OF_CAMPAIGNS = "campaign_id = ANY (%(campaigns)s::uuid[])"


class Change(NamedTuple):
    """The news of a batch about one donation, and the donation before and after it."""

    donation_id: UUID
    said: News
    before: Fact
    after: Fact


class CampaignStatsProcessor(ProjectionProcessor):
    """Donation totals, counts and averages per campaign and currency.

    Converges without the claims too: any order of the same events, with any duplication and in any batches,
    ends in the same rows of all its tables.
    """

    handles = (DonationCompleted, DonationRefunded)
    tables = (
        names_event("donation_facts", sample=f"({_OF_DONATIONS} OR {_OF_CAMPAIGNS})"),
        DerivedTable("donation_refunds", sample=_OF_DONATIONS),
        DerivedTable("donation_anomalies", sample=_OF_DONATIONS),
        DerivedTable(
            "campaign_donors",
            ignored={"donation_count": "is of use to workers of an earlier release alone"},
            rewritten=("donation_count",),
            sample=_OF_CAMPAIGNS,
        ),
        DerivedTable(
            "campaign_stats_projection",
            read_from="campaign_stats_now",
            shown=("total_raised", "average_donation", "largest_donation", "total_refunded"),
            sample=_OF_CAMPAIGNS,
        ),
    )
    aggregate_rows = AggregateRows(
        {
            "donation_facts": "donation_id = ANY (%(linked)s) OR campaign_id = %(id)s",
            "donation_refunds": "donation_id = ANY (%(linked)s)",
            "donation_anomalies": "donation_id = ANY (%(linked)s)",
            "campaign_donors": "campaign_id = %(id)s",
            "campaign_stats_projection": "campaign_id = %(id)s",
        },
        linked_by="donationId",
        waiting={"campaign_stats_waiting": "campaign_id = %(id)s"},
    )
    working_tables = ("campaign_stats_waiting", "campaign_stats_added")
    batch_size = 2_000

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Apply donations and refunds; a batch of plain new donations takes three statements."""
        with localcontext(EXACT):
            news = fold(events)
            if not news:
                return
            new, changes = _apply_facts(db, news)
            # Nearly all are plain new donations, which cannot have anomalies.
            odd = [Change(donation_id, said, _UNKNOWN, new[donation_id])
                   for donation_id, said in news.items() if not said.is_plain and donation_id in new]  # fmt: skip
            _apply_anomalies(db, changes + odd)
            _apply_differences(db, differences(new.values(), ((one.before, one.after) for one in changes)))

    def afterwards(self) -> None:
        """Add waiting differences to the statistics."""
        waiting.add_now_and_then(get_engine(self.database))

    @classmethod
    def has_more(cls) -> bool:
        """Whether a difference waits to be added."""
        return waiting.has_some(get_engine(cls.database))


def _apply_facts(db: Connection, news: Mapping[UUID, News]) -> tuple[Mapping[UUID, Fact], list[Change]]:
    """Bring the donations up to date; returns the new ones, and the changes of the others."""
    new = {donation_id: said.applied(_UNKNOWN, said.refunds) for donation_id, said in news.items()}
    known = facts.lock(db, facts.insert(db, new))
    _refunds.add(db, {donation_id: said.refunds for donation_id, said in news.items() if said.refunds})
    refunds = _refunds.read(db, [donation_id for donation_id in known if news[donation_id].refunds])
    changes = [
        Change(donation_id, news[donation_id], before, news[donation_id].applied(before, refunds.get(donation_id, {})))
        for donation_id, before in known.items()
    ]
    facts.update(db, {one.donation_id: one.after for one in changes if one.before != one.after})
    for donation_id in known:
        del new[donation_id]
    return new, changes


def _apply_anomalies(db: Connection, changes: Iterable[Change]) -> None:
    """Note repeated completions and refunds beyond the donation; remove anomalies that are none any more."""
    found: set[facts.Anomaly] = set()
    gone: set[facts.Anomaly] = set()
    for donation_id, said, before, after in changes:
        found.update((donation_id, "completed_twice", position) for position in said.lost(before))
        if before.exceeded_at != after.exceeded_at:
            for where, position in ((gone, before.exceeded_at), (found, after.exceeded_at)):
                if position is not None:
                    where.add((donation_id, "refunded_beyond_gift", position))
    facts.remove_anomalies(db, gone)
    facts.add_anomalies(db, found)


def _apply_differences(db: Connection, deltas: Deltas) -> None:
    """Add the differences of a batch to the statistics, at once or in a moment."""
    stats.count_donors(db, deltas)
    if not deltas.stats:
        return
    if deltas.left:
        waiting.add(db)  # before rows are measured: waiting differences may include a donation that has left
        stats.add(db, deltas.stats)
        stats.measure(db, deltas.left)
    elif waiting.must_wait(db):
        waiting.put(db, deltas.stats)
    else:
        stats.add(db, deltas.stats)
