"""The business tables of the demo, as an API service would have them, in the Events DB.

Changes are a journal of values and times, so that the check computes the final state by the platform's rules alone,
in whatever order the demo's writers commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from fundlyhub.embedded.logins import SERVICE

# Tables of an older version of the demo are dropped, but not the runs, whose numbers are part of the ids.
DDL = """
    DO $$ BEGIN
        IF to_regclass('demo.campaigns') IS NOT NULL AND to_regclass('demo.reach') IS NULL THEN
            DROP TABLE IF EXISTS demo.users, demo.campaigns, demo.edits, demo.told, demo.donations, demo.refunds,
                demo.follows;
        END IF;
    END $$;
    CREATE SCHEMA IF NOT EXISTS demo;
    CREATE TABLE IF NOT EXISTS demo.runs (run int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seed bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.campaigns (
        run int NOT NULL, id uuid PRIMARY KEY, owner_id uuid NOT NULL, title text NOT NULL, currency text NOT NULL,
        at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.edits (
        run int NOT NULL, campaign_id uuid NOT NULL, editor_id uuid NOT NULL, at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.told (
        run int NOT NULL, kind text NOT NULL, id uuid NOT NULL, field text NOT NULL, value text NOT NULL,
        at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.donations (
        run int NOT NULL, id uuid PRIMARY KEY, campaign_id uuid NOT NULL, donor_id uuid, amount numeric NOT NULL,
        currency text NOT NULL, is_anonymous boolean, completed_at timestamptz NOT NULL, guest_email text);
    CREATE TABLE IF NOT EXISTS demo.refunds (
        run int NOT NULL, donation_id uuid NOT NULL, transaction_id text PRIMARY KEY, amount numeric NOT NULL,
        cumulative boolean NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.follows (
        run int NOT NULL, follower_id uuid NOT NULL, kind text NOT NULL, followed_id uuid NOT NULL,
        follows boolean NOT NULL, at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.payouts (run int NOT NULL, id uuid PRIMARY KEY, user_id uuid NOT NULL);
    CREATE TABLE IF NOT EXISTS demo.reach (
        run int NOT NULL, user_id uuid PRIMARY KEY, device boolean NOT NULL, phone boolean NOT NULL,
        wants_gifts boolean NOT NULL, wants_social boolean NOT NULL);
    CREATE INDEX IF NOT EXISTS donations_run_idx ON demo.donations (run);
    CREATE INDEX IF NOT EXISTS refunds_donation_idx ON demo.refunds (donation_id);
"""
OPEN = f"""
    GRANT USAGE ON SCHEMA demo TO {SERVICE};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA demo TO {SERVICE};
"""
"""The service of an embedded server uses these tables, and does not own them."""

CAMPAIGN = text("INSERT INTO demo.campaigns VALUES (:run, :id, :owner_id, :title, :currency, :at)")
EDIT = text("INSERT INTO demo.edits VALUES (:run, :campaign_id, :editor_id, :at)")
TOLD = text("INSERT INTO demo.told VALUES (:run, :kind, :id, :field, :value, :at)")
DONATION = text(
    "INSERT INTO demo.donations"
    " VALUES (:run, :id, :campaign_id, :donor_id, :amount, :currency, :is_anonymous, :completed_at, :guest_email)"
)
REFUND = text("INSERT INTO demo.refunds VALUES (:run, :donation_id, :transaction_id, :amount, :cumulative)")
FOLLOW = text("INSERT INTO demo.follows VALUES (:run, :follower_id, :kind, :followed_id, :follows, :at)")
PAYOUT = text("INSERT INTO demo.payouts VALUES (:run, :id, :user_id)")
REACH = text("INSERT INTO demo.reach VALUES (:run, :user_id, :device, :phone, :wants_gifts, :wants_social)")

NEW_RUN = "INSERT INTO demo.runs (seed) VALUES (%s) RETURNING run"

# The amount returned of each donation: the payment webhook reports the sum so far, so its highest amount counts; the
# API's refunds add up; both may report the same, so the larger sum counts; never more than the donation.
RETURNED = """
    SELECT d.id, count(r.transaction_id) AS refunds,
           least(d.amount, greatest(coalesce(max(r.amount) FILTER (WHERE r.cumulative), 0),
                                    coalesce(sum(r.amount) FILTER (WHERE NOT r.cumulative), 0))) AS amount
    FROM demo.donations d LEFT JOIN demo.refunds r ON r.donation_id = d.id
    WHERE d.run = %(run)s
    GROUP BY d.id
"""
# The expected statistics, from the business tables alone.
STATISTICS = f"""
    WITH given_back AS ({RETURNED})
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
"""  # noqa: S608 - put together from constants
CAMPAIGNS = "SELECT id, title FROM demo.campaigns WHERE run = %s"

# Follows: the pairs whose last change is a follow.
FOLLOWS = """
    SELECT follower_id, kind, followed_id, at FROM (
        SELECT DISTINCT ON (follower_id, kind, followed_id) * FROM demo.follows
        WHERE run = %(run)s ORDER BY follower_id, kind, followed_id, at DESC
    ) AS last_word WHERE follows
"""

# Everything that is public after its last changes, with its name.
PUBLIC = """
    SELECT kind, id, coalesce(fields ->> 'name', fields ->> 'title') FROM (
        SELECT kind, id, jsonb_object_agg(field, value) AS fields FROM (
            SELECT DISTINCT ON (kind, id, field) * FROM demo.told
            WHERE run = %(run)s ORDER BY kind, id, field, at DESC
        ) AS last_words GROUP BY kind, id
    ) AS things
    WHERE coalesce(fields ->> 'suspended', 'no') = 'no'
      AND coalesce(fields ->> 'profile', 'public') = 'public'
      AND (kind <> 'campaign' OR fields ->> 'visibility' = 'public' AND fields ->> 'status' IN ('active', 'ended'))
"""

# All activities, the newest first: time, type, actor and target.
NEWS = f"""
    WITH public(kind, id, name) AS ({PUBLIC}), returned AS ({RETURNED}), news AS (
        SELECT at, 'followed_' || kind AS type, follower_id AS actor, kind, followed_id AS target FROM ({FOLLOWS}) f
        UNION ALL SELECT at, 'campaign_created', owner_id, 'campaign', id FROM demo.campaigns WHERE run = %(run)s
        UNION ALL SELECT at, 'campaign_updated', editor_id, 'campaign', campaign_id FROM demo.edits WHERE run = %(run)s
        UNION ALL SELECT at, 'organization_verified', id, kind, id FROM demo.told
                  WHERE run = %(run)s AND kind = 'organization' AND field = 'status' AND value = 'verified'
        UNION ALL SELECT completed_at, 'donation_made', CASE WHEN is_anonymous = false THEN donor_id END,
                         'campaign', campaign_id
                  FROM demo.donations AS gift JOIN returned USING (id) WHERE returned.amount < gift.amount
    )
    SELECT news.* FROM news
    JOIN public AS target_seen ON target_seen.kind = news.kind AND target_seen.id = news.target
    LEFT JOIN public AS actor_seen ON actor_seen.id = news.actor
    WHERE actor IS NULL OR actor_seen.id IS NOT NULL
    ORDER BY at DESC
"""  # noqa: S608 - put together from constants

Statement = tuple[Any, Sequence[dict[str, Any]]]
"""A business statement and its rows."""
