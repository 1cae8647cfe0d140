// What the peers on node share: the work itself, the file of events, the pace, and the command line with its verbs.
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import pg from "pg";

export const DSN = process.env.BENCH_DSN;
const APPLY = readFileSync(new URL("../apply.sql", import.meta.url), "utf8");
const BUSINESS = "INSERT INTO bench.gifts (event_id, campaign_id, donor_id, amount) VALUES ($1, $2, $3, $4)";
const WARM = 20;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export const pool = () => new pg.Pool({ connectionString: DSN, max: 10 });

export async function apply(db, { id, at, payload: paid }) {
  const values = [id, paid.donationId, paid.campaignId, paid.currency, paid.donorId, paid.amount, at];
  await db.query({ name: "apply", text: APPLY, values });
}

export async function* chunks(file, size = 1000) {
  let chunk = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    chunk.push(JSON.parse(line));
    if (chunk.length === size) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length) yield chunk;
}

// The business row, and with it the job, in one transaction.
async function publishOne(db, event, enqueue) {
  const paid = event.payload;
  await db.query("BEGIN");
  await db.query({ name: "business", text: BUSINESS, values: [event.id, paid.campaignId, paid.donorId, paid.amount] });
  await enqueue(db, event);
  await db.query("COMMIT");
}

async function pace(file, rate, seconds, enqueue) {
  const db = new pg.Client({ connectionString: DSN });
  await db.connect();
  const events = [];
  for await (const chunk of chunks(file)) events.push(...chunk);
  for (let n = 0; n < WARM; n++) await publishOne(db, events.shift(), enqueue);
  while (Number((await db.query("SELECT count(*) FROM bench.processed")).rows[0].count) < WARM) await sleep(50);
  const start = performance.now();
  const count = Math.floor(rate * seconds);
  let late = 0;
  for (let tick = 0; tick < count; tick++) {
    late = performance.now() - (start + (tick * 1000) / rate);
    if (late < 0) await sleep(-late);
    await publishOne(db, events[tick], enqueue);
  }
  console.log(JSON.stringify({ warm: WARM, published: count, late_s: Math.max(0, late) / 1000 }));
  await db.end();
}

export async function main({ setup, fill, work, enqueue }) {
  const [verb, file, rate, seconds] = process.argv.slice(2);
  if (verb === "setup") await setup();
  else if (verb === "fill") await fill(file);
  else if (verb === "work") return work();
  else if (verb === "publish") await pace(file, Number(rate), Number(seconds), enqueue);
  else throw new Error("setup | fill FILE | work | publish FILE RATE SECONDS");
  process.exit(0);
}
