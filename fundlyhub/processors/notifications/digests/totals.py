"""The facts of a digest: how many messages, and how much per campaign and currency. Nobody is named."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.processors.notifications.planning.lookup import Lookup
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money

LISTED = 10
"""Campaigns and currencies that are listed one by one; the others are counted."""

_SUMS = """
    SELECT campaign_id, currency, count(*)::int AS number, sum(amount) AS amount,
           (sum(count(*)) OVER ())::int AS count, (count(*) OVER ())::int AS parts,
           min(campaign_id::text) OVER () = max(campaign_id::text) OVER () AS same_campaign
    FROM digest_members WHERE digest_id = %(id)s
    GROUP BY campaign_id, currency
    ORDER BY number DESC, campaign_id, currency LIMIT %(limit)s
"""


def read(db: Connection, digest_id: UUID, site_url: str) -> Facts:
    """The facts of a digest; nothing when it has no members."""
    rows = db.exec_driver_sql(_SUMS, {"id": digest_id, "limit": LISTED}).all()
    if not rows:
        return {}
    lookup, first = Lookup(db, site_url), rows[0]
    campaigns = {row.campaign_id: lookup.campaign(row.campaign_id) for row in rows if row.campaign_id}
    titles = {id: campaign.title if campaign else None for id, campaign in campaigns.items()}
    one = campaigns.get(first.campaign_id) if first.same_campaign else None
    return {
        "count": first.count,
        "amount": _money(first.amount, first.currency) if first.parts == 1 else None,
        "campaign": one.title if one else None,
        "campaign_url": one.url if one else None,
        "parts": tuple(
            {"campaign": titles.get(row.campaign_id), "number": row.number, "amount": _money(row.amount, row.currency)}
            for row in rows
        ),
        "others": first.count - sum(row.number for row in rows),
    }


def _money(amount: Decimal | None, currency: str | None) -> Money | None:
    return Money(amount, currency) if currency is not None and amount is not None else None
