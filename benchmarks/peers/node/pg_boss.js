// pg-boss: jobs in PostgreSQL, polled in batches.
import PgBoss from "pg-boss";
import { DSN, apply, chunks, main, pool } from "./work.js";

const QUEUE = "apply";

async function started() {
  const boss = new PgBoss({ connectionString: DSN, max: 10 });
  await boss.start();
  return boss;
}

let producer;

await main({
  async setup() {
    const boss = await started();
    await boss.createQueue(QUEUE);
    await boss.stop({ graceful: false });
  },
  async fill(file) {
    const boss = await started();
    for await (const chunk of chunks(file)) await boss.insert(chunk.map((event) => ({ name: QUEUE, data: event })));
  },
  async work() {
    const db = pool();
    const boss = await started();
    // Several loops, so that one fetches while others work; each polls as often as it may.
    for (let loop = 0; loop < 2; loop++)
      await boss.work(QUEUE, { batchSize: 500, pollingIntervalSeconds: 0.5 }, (jobs) =>
        Promise.all(jobs.map((job) => apply(db, job.data))),
      );
  },
  async enqueue(db, event) {
    producer ??= await started();
    const within = { executeSql: (text, values) => db.query(text, values) };
    await producer.send(QUEUE, event, { db: within });
  },
});
