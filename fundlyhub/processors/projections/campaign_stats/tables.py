"""The tables of the campaign statistics; what each row means and which of them others may read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Computed, Index, Integer, Numeric, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import analytics_metadata

# One row per donation, also for one of which only a refund has been heard: then position, campaign, currency,
# amount and time are null. `refunded` is what the refunds add up to, also beyond the gift. Whoever changes
# anything of a donation holds the lock on this row.
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

# One row per refund id: position, amount and shape of its first event, and the highest amount of its
# cumulative ones, if it has any.
donation_refunds = Table(
    "donation_refunds",
    analytics_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("refund_transaction_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("cumulative", Boolean, nullable=False),
    Column("highest", Numeric),
)

# What was wrong with a donation. `completed_twice`: the position of a completion that lost against an
# earlier one. `refunded_beyond_gift`: the position of the completion whose amount the refunds exceed.
donation_anomalies = Table(
    "donation_anomalies",
    analytics_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
)

# How often each signed-in donor gave to a campaign in a currency: what makes unique donors countable.
campaign_donors = Table(
    "campaign_donors",
    analytics_metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("donor_id", Uuid, primary_key=True),
    Column("donation_count", BigInteger, nullable=False),
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
