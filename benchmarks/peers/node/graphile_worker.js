// graphile-worker: jobs in PostgreSQL, woken by NOTIFY.
import { run, runMigrations } from "graphile-worker";
import { DSN, apply, chunks, main, pool } from "./work.js";

const ADD = `
  SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
    SELECT ROW('apply', event, NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec
    FROM json_array_elements($1::json) AS event
  ))`;

await main({
  setup: () => runMigrations({ connectionString: DSN }),
  async fill(file) {
    const db = pool();
    for await (const chunk of chunks(file)) await db.query(ADD, [JSON.stringify(chunk)]);
  },
  async work() {
    const db = pool();
    await run({
      connectionString: DSN,
      concurrency: 10,
      pollInterval: 2000,
      noHandleSignals: true,
      logger: undefined,
      taskList: { apply: (event) => apply(db, event) },
    });
  },
  enqueue: (db, event) =>
    db.query({ name: "add", text: "SELECT graphile_worker.add_job('apply', $1::json)", values: [JSON.stringify(event)] }),
});
