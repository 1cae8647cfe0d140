"""Checks the donations of each campaign against sums that SQL computes from the log's own JSON.

The replay runs the processor's code, so that a fault of that code would be in both sides of its comparison. This
check shares none of it: of all claimed completions of a donation the one at the lowest position counts; they are
counted per campaign and currency, and their amounts added up, which is what was raised and what was given back
together. It says nothing of how much was given back, nor of donors and times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from fundlyhub.events import StoredEvent
from fundlyhub.verification.findings import LISTED, Finding, Kind
from fundlyhub.verification.tables.sample import COMPLETED, Sample

PROCESSOR = "campaign_stats"

_TABLE = """
    CREATE UNLOGGED TABLE gifts_of_the_log (
        position bigint PRIMARY KEY, donation_id uuid, campaign_id uuid, currency text, amount numeric)
"""
# A completion of the first version may name no currency: then it is in US dollars. A UUID may be written as a URN,
# which the server does not take for one.
_NOTE = """
    INSERT INTO gifts_of_the_log
    SELECT position, replace(said ->> 'donationId', 'urn:uuid:', '')::uuid,
           replace(said ->> 'campaignId', 'urn:uuid:', '')::uuid,
           upper(coalesce(said ->> 'currency', 'USD')), (said ->> 'amount')::numeric
    FROM unnest(%(positions)s::bigint[], %(payloads)s::jsonb[]) AS given(position, said)
"""
_COMPARE = """
    WITH counted AS (
        SELECT campaign_id, currency, count(*) AS gifts, sum(amount) AS given
        FROM (SELECT DISTINCT ON (donation_id) * FROM gifts_of_the_log ORDER BY donation_id, position) AS first
        GROUP BY 1, 2
    ), kept AS (
        SELECT campaign_id, currency, donation_count AS gifts, total_raised + total_refunded AS given
        FROM {live}.campaign_stats_now
    )
    SELECT count(*) OVER (), campaign_id, currency, counted.gifts, kept.gifts,
           trim_scale(counted.given)::text, trim_scale(kept.given)::text
    FROM counted FULL JOIN kept USING (campaign_id, currency)
    WHERE (counted.gifts, counted.given) IS DISTINCT FROM (kept.gifts, kept.given) {sampled}
    ORDER BY 2, 3 LIMIT %(limit)s
"""
_SAMPLED = "AND campaign_id = ANY (%(campaigns)s::uuid[])"


def prepare(db: Connection) -> None:
    """Make the table of gifts, in the caller's transaction."""
    db.exec_driver_sql(_TABLE)


def note(db: Connection, claimed: Sequence[StoredEvent]) -> None:
    """Take down the gifts among these events of the log, in the caller's transaction."""
    rows = [row for row in claimed if row.type in COMPLETED]
    if rows:
        given = {"positions": [row.position for row in rows], "payloads": [row.payload for row in rows]}
        db.exec_driver_sql(_NOTE, given)


def differences(db: Connection, live: str, sample: Sample | None) -> Iterator[tuple[int, Finding]]:
    """Each campaign and currency whose gifts are not those of the log, with the number of all such."""
    sql = _COMPARE.format(live=live, sampled="" if sample is None else _SAMPLED)
    rows = db.exec_driver_sql(sql, {"limit": LISTED, **(sample.rows if sample else {})})
    for total, campaign, currency, gifts, kept, given, kept_given in rows:
        kind: Kind = "double" if gifts is None else "missing" if kept is None else "different"
        yield (
            total,
            Finding(
                kind,
                PROCESSOR,
                f"campaign {campaign} in {currency}: its gifts, added up from the log's JSON alone, are others",
                table="campaign_stats_projection",
                key={"campaign_id": campaign, "currency": currency},
                columns=("donation_count", "total_raised + total_refunded"),
                expected=None if gifts is None else {"donation_count": gifts, "given": given},
                found=None if kept is None else {"donation_count": kept, "given": kept_given},
            ),
        )
