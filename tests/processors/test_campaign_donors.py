"""The donors of a campaign: each is there for as long as one of his gifts is, whoever counts beside."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from fundlyhub import Event
from fundlyhub.processors.projections.campaign_stats import CampaignStatsProcessor, stats
from fundlyhub.processors.projections.campaign_stats.deltas import Delta, Deltas
from fundlyhub.testing.convergence import Subject, overlapping
from tests.processors.campaign_stats_oracle import TABLES, expected
from tests.support.make import completed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CAMPAIGNS, DONORS, DONATIONS = ([UUID(int=100 * kind + n) for n in range(3)] for kind in range(1, 4))

_WHERE = "SELECT ctid, xmin::text FROM campaign_donors"

# What workers of the release before do with a change of donors: its rows are those that a campaign has more or less.
_COUNT_BEFORE = """
    WITH counted AS (
        INSERT INTO campaign_donors AS known (campaign_id, currency, donor_id, donation_count)
        VALUES (%(campaign)s, 'USD', %(donor)s, %(change)s)
        ON CONFLICT (campaign_id, currency, donor_id) DO UPDATE
        SET donation_count = known.donation_count + excluded.donation_count
        RETURNING donation_count
    )
    SELECT CASE WHEN donation_count = 0 THEN -1 ELSE 1 END FROM counted WHERE donation_count IN (0, %(change)s)
"""
_FORGET_BEFORE = "DELETE FROM campaign_donors WHERE donation_count = 0"
_PUT = """
    INSERT INTO donation_facts (donation_id, campaign_id, currency, donor_id, refunded, refund_count)
    VALUES (%(donation)s, %(campaign)s, 'USD', %(donor)s, 0, 0)
    ON CONFLICT (donation_id) DO UPDATE SET campaign_id = excluded.campaign_id, donor_id = excluded.donor_id
"""
_UNIQUE = "SELECT campaign_id, count(DISTINCT donor_id) FROM donation_facts GROUP BY campaign_id"


@pytest.fixture
def subject(analytics: Engine) -> Subject:
    """The processor with its tables."""
    return Subject(CampaignStatsProcessor, TABLES, analytics)


def gift(position: int, donation: UUID, campaign: UUID = CAMPAIGNS[0]) -> Event:
    """A gift of one donor."""
    event = Event.of(completed(campaign, donation_id=donation, donor_id=DONORS[0], amount=Decimal(10)))
    return event.model_copy(update={"position": position})


def test_a_donor_who_gives_again_is_not_written_again(subject: Subject) -> None:
    subject.apply([gift(1, DONATIONS[0])])
    with subject.engine.connect() as db:
        before = db.exec_driver_sql(_WHERE).all()
        subject.apply([gift(2, DONATIONS[1])])
        assert db.exec_driver_sql(_WHERE).all() == before


@pytest.mark.parametrize("arrives_first", [True, False])
def test_one_gift_comes_while_the_other_leaves(subject: Subject, arrives_first: bool) -> None:
    """The first gift turns out to belong elsewhere, beside a neighbour who has another one of the same donor."""
    log = [gift(9, DONATIONS[0]), gift(10, DONATIONS[1]), gift(2, DONATIONS[0], CAMPAIGNS[1])]
    subject.apply(log[:1])
    arrives, leaves = log[1], log[2]
    found = overlapping(subject, *([arrives], [leaves]) if arrives_first else ([leaves], [arrives]))
    should = expected(log)
    assert {name: found[name] for name in should} == should


def ours(db: Connection, campaign: UUID, donor: UUID, change: int) -> int:
    """How many donors a campaign has more or less, by this release."""
    delta = Delta(Decimal(1), NOW, NOW, by_donor={donor: change})
    stats.count_donors(db, Deltas({(campaign, "USD"): delta}, {(campaign, "USD")} if change < 0 else set()))
    return delta.donors


def before(db: Connection, campaign: UUID, donor: UUID, change: int) -> int:
    """The same by the release before."""
    rows = db.exec_driver_sql(_COUNT_BEFORE, {"campaign": campaign, "donor": donor, "change": change}).all()
    db.exec_driver_sql(_FORGET_BEFORE)
    return sum(row[0] for row in rows)


@pytest.mark.parametrize("seed", range(5))
def test_workers_of_the_release_before_count_beside_ours(analytics: Engine, seed: int) -> None:
    random = Random(seed)
    where: dict[UUID, tuple[UUID, UUID]] = {}
    donors = dict.fromkeys(CAMPAIGNS, 0)
    with analytics.connect() as db:
        for _ in range(80):
            donation, campaign, donor = (random.choice(some) for some in (DONATIONS, CAMPAIGNS[:2], DONORS[:2]))
            count = random.choice([ours, before])
            db.exec_driver_sql(_PUT, {"donation": donation, "campaign": campaign, "donor": donor})
            left = where.get(donation)
            if left != (campaign, donor):
                if left:
                    donors[left[0]] += count(db, *left, -1)
                donors[campaign] += count(db, campaign, donor, 1)
            where[donation] = campaign, donor
            unique = {row.campaign_id: row.count for row in db.exec_driver_sql(_UNIQUE)}
            assert donors == dict.fromkeys(CAMPAIGNS, 0) | unique
