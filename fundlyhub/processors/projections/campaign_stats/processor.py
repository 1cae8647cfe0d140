"""The processor of the campaign statistics: from what a batch says to what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import localcontext
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted, DonationRefunded
from fundlyhub.processing import ProjectionProcessor
from fundlyhub.processors.projections.campaign_stats import facts, stats
from fundlyhub.processors.projections.campaign_stats.deltas import differences
from fundlyhub.processors.projections.campaign_stats.fold import EXACT, Fact, News, Refund, fold

_UNKNOWN = Fact(None)
Change = tuple[Fact, Fact]
"""A donation before and after a batch."""


class CampaignStatsProcessor(ProjectionProcessor):
    """Donation totals, counts and averages per campaign and currency.

    Converges without the claims too: any order of the same events, with any duplication and in any batches,
    ends in the same rows of all its tables.
    """

    handles = (DonationCompleted, DonationRefunded)
    batch_size = 2_000

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Apply donations and refunds; a batch of plain new donations takes three statements."""
        with localcontext(EXACT):
            news = fold(events)
            if not news:
                return
            changes = _apply_facts(db, news)
            _apply_anomalies(db, news, changes)
            stats.apply(db, differences(changes.values()))


def _apply_facts(db: Connection, news: Mapping[UUID, News]) -> dict[UUID, Change]:
    """Bring the donations up to date, and say what each was and is."""
    proposed = {donation_id: said.applied(_UNKNOWN, {}) for donation_id, said in news.items()}
    inserted = facts.insert(db, proposed)
    known = facts.lock(db, news.keys() - inserted)
    refunds = facts.read_refunds(db, [donation_id for donation_id in known if news[donation_id].refunds])
    changes = {donation_id: (_UNKNOWN, proposed[donation_id]) for donation_id in inserted}
    for donation_id, before in known.items():
        changes[donation_id] = before, news[donation_id].applied(before, refunds.get(donation_id, {}))
    facts.update(db, {key: changes[key][1] for key in known if changes[key][0] != changes[key][1]})
    _write_refunds(db, news, refunds)
    return changes


def _write_refunds(db: Connection, news: Mapping[UUID, News], stored: Mapping[UUID, Mapping[str, Refund]]) -> None:
    """Write the refunds that are new or have changed."""
    changed = {}
    for donation_id, said in news.items():
        before = stored.get(donation_id, {})
        for name, refund in said.joined(before).items():
            if before.get(name) != refund:
                changed[donation_id, name] = refund
    facts.write_refunds(db, changed)


def _apply_anomalies(db: Connection, news: Mapping[UUID, News], changes: Mapping[UUID, Change]) -> None:
    """Note completions that came twice and refunds beyond the gift; forget what is in order by now."""
    found: set[facts.Anomaly] = set()
    gone: set[facts.Anomaly] = set()
    for donation_id, (before, after) in changes.items():
        repeats = news[donation_id].lost(before)
        found.update((donation_id, "completed_twice", position) for position in repeats)
        if before.exceeded_at != after.exceeded_at:
            for where, position in ((gone, before.exceeded_at), (found, after.exceeded_at)):
                if position is not None:
                    where.add((donation_id, "refunded_beyond_gift", position))
    facts.remove_anomalies(db, gone)
    facts.add_anomalies(db, found)
