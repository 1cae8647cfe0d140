"""The tables of the campaign statistics; what each row means and which of them others may read."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import analytics_metadata
from fundlyhub.database.types import PgSnapshot, Xid8
from fundlyhub.processors.shared.refunds import refunds_table

# One row per donation, also for one of which only a refund has been heard: then position, campaign, currency,
# amount and time are null. `refunded` is what the refunds add up to, also beyond the gift. Every change of
# a donation is made under the lock on this row.
donation_facts = Table(
    "donation_facts",
    analytics_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("position", BigInteger),
    Column("campaign_id", Uuid),
    Column("currency", Text),
    Column("donor_id", Uuid),
    Column("amount", Numeric),
    Column("donated_at", TIMESTAMP(timezone=True)),
    Column("refunded", Numeric, nullable=False),
    Column("refund_count", Integer, nullable=False),
)
Index("donation_facts_campaign_id_idx", donation_facts.c.campaign_id, donation_facts.c.currency)

donation_refunds = refunds_table("donation_refunds", analytics_metadata)

# What was wrong with a donation. `completed_twice`: the position of a completion that lost against an
# earlier one. `refunded_beyond_gift`: the position of the completion whose amount the refunds exceed.
donation_anomalies = Table(
    "donation_anomalies",
    analytics_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
)

# Each signed-in donor of a campaign in a currency, while one of their donations is there: it makes unique donors
# countable. No row is ever updated. The count belongs to workers of the release before: see the migration 0006.
campaign_donors = Table(
    "campaign_donors",
    analytics_metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("donor_id", Uuid, primary_key=True),
    Column("donation_count", BigInteger, nullable=False, server_default=text("1")),
)

# The read model: what others may read.
campaign_stats_projection = Table(
    "campaign_stats_projection",
    analytics_metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("total_raised", Numeric, nullable=False),
    Column("donation_count", BigInteger, nullable=False),
    # Never null in a row that anybody sees: a row without donations lives no longer than its transaction.
    # The cast is for large totals: a quotient has 16 digits, or as many decimals as the dividend.
    Column(
        "average_donation",
        Numeric,
        Computed("round(total_raised::numeric(60, 20) / NULLIF(donation_count, 0)::numeric, 4)", persisted=True),
    ),
    Column("unique_donors", BigInteger, nullable=False),
    Column("largest_donation", Numeric, nullable=False),
    Column("first_donation_at", TIMESTAMP(timezone=True), nullable=False),
    Column("last_donation_at", TIMESTAMP(timezone=True), nullable=False),
    Column("refund_count", BigInteger, nullable=False),
    Column("total_refunded", Numeric, nullable=False),
)

# Differences that wait to be added to the read model: see waiting.py. A row that was added is deleted. The key begins
# with what is asked for; ``id`` makes it one, since a publication of all tables lets no row of a keyless table go.
campaign_stats_waiting = Table(
    "campaign_stats_waiting",
    analytics_metadata,
    Column("xid", Xid8, primary_key=True, server_default=text("pg_current_xact_id()")),
    Column("campaign_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_raised", Numeric, nullable=False),
    Column("donation_count", BigInteger, nullable=False),
    Column("unique_donors", BigInteger, nullable=False),
    Column("largest_donation", Numeric, nullable=False),
    Column("first_donation_at", TIMESTAMP(timezone=True), nullable=False),
    Column("last_donation_at", TIMESTAMP(timezone=True), nullable=False),
    Column("refund_count", BigInteger, nullable=False),
    Column("total_refunded", Numeric, nullable=False),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
)

# One row: whose differences have been added, so that the next time begins behind them; and when that is.
campaign_stats_added = Table(
    "campaign_stats_added",
    analytics_metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("seen", PgSnapshot, nullable=False),
    Column("next_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("one", name="one"),
)

# The statistics as they are once all that waits has been added.
CAMPAIGN_STATS_NOW = """
    CREATE VIEW campaign_stats_now AS
    SELECT campaign_id, currency, sum(total_raised) AS total_raised, sum(donation_count)::bigint AS donation_count,
           round(sum(total_raised)::numeric(60, 20) / NULLIF(sum(donation_count), 0)::numeric, 4) AS average_donation,
           sum(unique_donors)::bigint AS unique_donors, max(largest_donation) AS largest_donation,
           min(first_donation_at) AS first_donation_at, max(last_donation_at) AS last_donation_at,
           sum(refund_count)::bigint AS refund_count, sum(total_refunded) AS total_refunded
    FROM (
        SELECT campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
               first_donation_at, last_donation_at, refund_count, total_refunded
        FROM campaign_stats_projection
        UNION ALL
        SELECT campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
               first_donation_at, last_donation_at, refund_count, total_refunded
        FROM campaign_stats_waiting
    ) AS told
    GROUP BY campaign_id, currency
"""
event.listen(analytics_metadata, "after_create", DDL(CAMPAIGN_STATS_NOW))  # type: ignore[no-untyped-call]  # theirs
