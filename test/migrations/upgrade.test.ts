import { afterEach, beforeEach, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

/** Rows as the first version of the schema had them, every column filled where it may be. */
const firstRows: Readonly<Record<string, readonly Record<string, string | number | null>[]>> = {
  workflow_runs: [
    {
      run_id: "done",
      workflow_id: "orders",
      workflow_version: "2",
      status: "COMPLETED",
      progress: 1,
      input: '{"a":[1,null]}',
      output: '"x"',
      error: null,
      context: '{"user":"u"}',
      tags: '{"region":"eu"}',
      resource_id: "customer",
      idempotency_key: "key",
      worker_id: "w",
      lease_expires_at: null,
      attempt: 2,
      revision: 9,
      created_at: 1000,
      started_at: 2000,
      completed_at: 3000,
      updated_at: 3000,
    },
    {
      run_id: "left",
      workflow_id: "orders",
      workflow_version: "1",
      status: "RUNNING",
      progress: 0.5,
      input: "1",
      output: null,
      error: null,
      context: null,
      tags: null,
      resource_id: null,
      idempotency_key: null,
      worker_id: "gone",
      lease_expires_at: 5000,
      attempt: 1,
      revision: 4,
      created_at: 4000,
      started_at: 4000,
      completed_at: null,
      updated_at: 4500,
    },
  ],
  step_executions: [
    {
      run_id: "done",
      step_id: "a",
      execution_index: 0,
      status: "FAILED",
      attempt: 3,
      input: '{"a":[1,null]}',
      error: '{"name":"Error","message":"no"}',
      duration_ms: 12,
      created_at: 2000,
      started_at: 2000,
      completed_at: 2012,
      updated_at: 2012,
    },
    {
      run_id: "left",
      step_id: "a",
      execution_index: 0,
      status: "RETRYING",
      attempt: 1,
      input: "1",
      error: '{"name":"Error","message":"again"}',
      duration_ms: null,
      created_at: 4000,
      started_at: 4000,
      completed_at: null,
      updated_at: 4500,
    },
  ],
  step_outputs: [{ run_id: "done", step_id: "a", output: "null", created_at: 1, updated_at: 2 }],
  workflow_state: [{ run_id: "done", key: "k", value: "[1]", revision: 3, updated_at: 7 }],
};

let folder: TemporaryFolder;
let client: LocalClient;
beforeEach(async () => {
  folder = await temporaryFolder();
  client = createClient(folder.database());
  const [first] = compiledMigrations;
  if (first === undefined) throw new TypeError("there is no migration");
  await applyMigrations(client, [first]);
  for (const [table, rows] of Object.entries(firstRows)) {
    for (const row of rows) {
      const places = Object.keys(row).map(() => "?");
      await client.execute({
        sql: `insert into ${table} (${Object.keys(row).join()}) values (${places.join()})`,
        args: Object.values(row),
      });
    }
  }
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

test("a database of the first version keeps every row through the upgrade", async () => {
  const store = await LibSQLStore.open(folder.database());
  for (const [table, rows] of Object.entries(firstRows)) {
    const columns = Object.keys(rows[0] ?? {});
    const found = await client.execute(`select ${columns.join()} from ${table} order by rowid`);
    expect(found.rows.map((row) => Object.fromEntries(Object.entries(row)))).toEqual(rows);
  }
  expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
  const { bundles, corrupt } = await store.readBundles();
  expect(corrupt).toEqual([]);
  expect(bundles).toMatchObject([
    { run: { wakeAt: null, deadlineAt: null }, attempts: [] },
    { steps: [{ attemptOffset: 0, sleepCount: 0, wakeAt: null }] },
  ]);
  await store.close();
});

test("what a worker of the first version left behind is claimed", async () => {
  const store = await LibSQLStore.open(folder.database());
  const claim = { workerId: "w", leaseMs: 1000, limit: 10 };
  expect(await store.claimRuns(claim)).toMatchObject([{ runId: "left", attempt: 2 }]);
  await store.close();
});
