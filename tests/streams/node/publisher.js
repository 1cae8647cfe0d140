// A publisher in another language: XADD in each layout, and the SQL function. It prints the ids that it made.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { createClient } from 'redis';

const [url, dsn] = process.argv.slice(2);
const client = await createClient({ url }).connect();
const campaign = randomUUID();

const donation = () => ({
  donationId: randomUUID(), campaignId: campaign, amount: 12.3, currency: 'usd', paymentMethod: 'card',
});
const envelope = (metadata) => ({
  id: randomUUID(),
  type: 'donation.initiated',
  payload: JSON.stringify(donation()),
  timestamp: String(Date.now()),
  version: '1.0.0',
  correlationId: '',
  ...(metadata ? { causationId: '', metadata: JSON.stringify({ clientId: randomUUID() }) } : {}),
});
const access = () => ({
  stream: 'fundlyhub-events',
  event: 'campaign.access.checked',
  payload: { campaign_id: campaign, allowed: true, method: 'public' },
  ts: new Date().toISOString(),
  version: '1.0.0',
});

const whole = envelope(true);
const short = envelope(false);
for (let again = 0; again < 2; again += 1) { // a publisher that was not sure
  await client.xAdd('events', '*', whole);
  await client.xAdd('events:stream', '*', short);
}
const message = access();
await client.xAdd('fundlyhub-events', '*', { ...message, payload: JSON.stringify(message.payload) });
await client.xAdd('fundlyhub-events', '*', { data: JSON.stringify(access()) });
await client.xAdd('events', '*', { type: 'donation.initiated', payload: '{"donationId": ' });
await client.close();

const db = new pg.Client({ connectionString: dsn });
await db.connect();
await db.query('BEGIN');
const publish = 'SELECT events.publish_event($1, $2::jsonb) AS id';
const { rows } = await db.query(publish, ['donation.initiated', JSON.stringify(donation())]);
await db.query('COMMIT');
await db.query('BEGIN');
await db.query(publish, ['donation.initiated', JSON.stringify(donation())]);
await db.query('ROLLBACK');
await db.end();

console.log(JSON.stringify({ named: [whole.id, short.id, rows[0].id], unnamed: 2, broken: 1 }));
