-- One event's whole effect in one round trip, which is more than most teams would do for speed.
-- $1 event, $2 donation, $3 campaign, $4 currency, $5 donor, $6 amount, $7 when
WITH claimed AS (
    INSERT INTO bench.processed (processor, event_id) VALUES ('campaign_stats', $1::uuid)
    ON CONFLICT DO NOTHING RETURNING event_id
), fact AS (
    INSERT INTO bench.donation_facts (donation_id, campaign_id, currency, donor_id, amount, donated_at)
    SELECT $2::uuid, $3::uuid, $4::text, $5::uuid, $6::numeric, $7::timestamptz FROM claimed
), donor AS (
    INSERT INTO bench.campaign_donors AS known (campaign_id, currency, donor_id, donation_count)
    SELECT $3::uuid, $4::text, $5::uuid, 1 FROM claimed
    ON CONFLICT (campaign_id, currency, donor_id) DO UPDATE SET donation_count = known.donation_count + 1
    RETURNING (donation_count = 1)::int AS is_new
)
INSERT INTO bench.campaign_stats AS stats
    (campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
     first_donation_at, last_donation_at)
SELECT $3::uuid, $4::text, $6::numeric, 1, is_new, $6::numeric, $7::timestamptz, $7::timestamptz FROM donor
ON CONFLICT (campaign_id, currency) DO UPDATE
SET total_raised = stats.total_raised + excluded.total_raised,
    donation_count = stats.donation_count + 1,
    unique_donors = stats.unique_donors + excluded.unique_donors,
    largest_donation = greatest(stats.largest_donation, excluded.largest_donation),
    first_donation_at = least(stats.first_donation_at, excluded.first_donation_at),
    last_donation_at = greatest(stats.last_donation_at, excluded.last_donation_at)
