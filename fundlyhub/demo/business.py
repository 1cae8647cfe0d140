"""The business tables of the demo, as an API service would have them, in the Events DB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

DDL = """
    CREATE SCHEMA IF NOT EXISTS demo;
    CREATE TABLE IF NOT EXISTS demo.runs (run int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seed bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.users (run int NOT NULL, id uuid PRIMARY KEY, name text NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.campaigns (
        run int NOT NULL, id uuid PRIMARY KEY, owner_id uuid NOT NULL, title text NOT NULL, currency text NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.donations (
        run int NOT NULL, id uuid PRIMARY KEY, campaign_id uuid NOT NULL, donor_id uuid, amount numeric NOT NULL,
        currency text NOT NULL, completed_at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.refunds (
        run int NOT NULL, donation_id uuid NOT NULL, transaction_id text PRIMARY KEY, amount numeric NOT NULL,
        cumulative boolean NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.follows (
        run int NOT NULL, follower_id uuid, followed_id uuid, PRIMARY KEY (run, follower_id, followed_id));
    CREATE INDEX IF NOT EXISTS donations_run_idx ON demo.donations (run);
    CREATE INDEX IF NOT EXISTS refunds_donation_idx ON demo.refunds (donation_id);
"""

USER = text("INSERT INTO demo.users VALUES (:run, :id, :name)")
CAMPAIGN = text("INSERT INTO demo.campaigns VALUES (:run, :id, :owner_id, :title, :currency)")
DONATION = text(
    "INSERT INTO demo.donations VALUES (:run, :id, :campaign_id, :donor_id, :amount, :currency, :completed_at)"
)
REFUND = text("INSERT INTO demo.refunds VALUES (:run, :donation_id, :transaction_id, :amount, :cumulative)")
FOLLOW = text("INSERT INTO demo.follows VALUES (:run, :follower_id, :followed_id) ON CONFLICT DO NOTHING")
UNFOLLOW = text(
    "DELETE FROM demo.follows WHERE run = :run AND follower_id = :follower_id AND followed_id = :followed_id"
)

NEW_RUN = "INSERT INTO demo.runs (seed) VALUES (%s) RETURNING run"

# What the read model must say, from the business tables alone and by the policy's words: refunds that the
# payment provider reports are cumulative, so the highest counts; others add up; never more than the gift.
EXPECTED = """
    WITH given_back AS (
        SELECT d.id, count(r.transaction_id) AS refunds,
               least(d.amount, coalesce(max(r.amount) FILTER (WHERE r.cumulative), 0)
                             + coalesce(sum(r.amount) FILTER (WHERE NOT r.cumulative), 0)) AS amount
        FROM demo.donations d LEFT JOIN demo.refunds r ON r.donation_id = d.id
        WHERE d.run = %(run)s
        GROUP BY d.id
    )
    SELECT d.campaign_id, d.currency,
           sum(d.amount) - sum(g.amount) AS total_raised,
           count(*) AS donation_count,
           round((sum(d.amount) - sum(g.amount)) / count(*), 4) AS average_donation,
           count(DISTINCT d.donor_id) AS unique_donors,
           max(d.amount) AS largest_donation,
           min(d.completed_at) AS first_donation_at,
           max(d.completed_at) AS last_donation_at,
           sum(g.refunds) AS refund_count,
           sum(g.amount) AS total_refunded
    FROM demo.donations d JOIN given_back g USING (id)
    WHERE d.run = %(run)s
    GROUP BY d.campaign_id, d.currency
"""
CAMPAIGNS = "SELECT id, title FROM demo.campaigns WHERE run = %s"

Statement = tuple[Any, Sequence[dict[str, Any]]]
"""A business statement and its rows."""
