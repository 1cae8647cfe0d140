-- What every peer keeps: the same facts, donors and statistics as campaign_stats, and a row per event against repeats.
CREATE SCHEMA bench;
CREATE TABLE bench.gifts (
    event_id uuid PRIMARY KEY, campaign_id uuid NOT NULL, donor_id uuid NOT NULL, amount numeric NOT NULL
);
CREATE TABLE bench.processed (
    processor text, event_id uuid, processed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (processor, event_id)
);
CREATE TABLE bench.donation_facts (
    donation_id uuid PRIMARY KEY, campaign_id uuid, currency text, donor_id uuid, amount numeric, donated_at timestamptz
);
CREATE INDEX ON bench.donation_facts (campaign_id, currency);
CREATE TABLE bench.campaign_donors (
    campaign_id uuid, currency text, donor_id uuid, donation_count bigint NOT NULL,
    PRIMARY KEY (campaign_id, currency, donor_id)
);
CREATE TABLE bench.campaign_stats (
    campaign_id uuid, currency text, total_raised numeric NOT NULL, donation_count bigint NOT NULL,
    average_donation numeric GENERATED ALWAYS AS (round(total_raised / donation_count, 4)) STORED,
    unique_donors bigint NOT NULL, largest_donation numeric NOT NULL,
    first_donation_at timestamptz NOT NULL, last_donation_at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, currency)
);
CREATE TABLE bench.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event jsonb NOT NULL, sent_at timestamptz
);
CREATE INDEX ON bench.outbox (id) WHERE sent_at IS NULL;
CREATE TABLE bench.users (id uuid PRIMARY KEY, name text NOT NULL, email text NOT NULL);
-- What the whole system needs: the change of the business that an event comes with, and a row per event and handler
-- against repeats. The effects go into the platform's own tables.
CREATE TABLE bench.changes (event_id uuid PRIMARY KEY, type text NOT NULL);
CREATE TABLE bench.handled (
    handler text, number bigint, event_id uuid NOT NULL, PRIMARY KEY (handler, number)
);
