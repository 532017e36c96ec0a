import { copyFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { migrationStatus } from "../../src/migrations/journal.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

/** A database of each schema version, made by scripts/make-schema-fixtures.ts when the version was new. */
const folder = new URL("../fixtures/schemas/", import.meta.url);
const fixtures = (await readdir(folder)).toSorted();

let temporary: TemporaryFolder;
beforeEach(async () => {
  temporary = await temporaryFolder();
});
afterEach(() => temporary.remove());

type Tables = Map<string, { readonly columns: readonly string[]; readonly rows: unknown[][] }>;

/** All rows of our tables, in the columns that are there; `columns` of a snapshot asks for those alone. */
async function readTables(client: Client, like?: Tables): Promise<Tables> {
  const names =
    like === undefined
      ? (
          await client.execute(
            "select name from sqlite_schema where type = 'table' and name not like '\\_\\_%' escape '\\' and name not like 'sqlite%'",
          )
        ).rows.map(({ name }) => name as string)
      : [...like.keys()];
  const tables: Tables = new Map();
  for (const name of names) {
    const columns =
      like?.get(name)?.columns ?? (await client.execute(`select * from ${name} limit 0`)).columns;
    const { rows } = await client.execute(
      `select ${columns.join(", ")} from ${name} order by ${columns.join(", ")}`,
    );
    tables.set(name, { columns, rows: rows.map((row) => Array.from(row)) });
  }
  return tables;
}

test("every migration has the database that it made", () => {
  expect(fixtures).toEqual(compiledMigrations.map(({ tag }) => `${tag}.db`));
});

describe.each(fixtures)("%s", (fixture) => {
  let url: string;
  beforeEach(async () => {
    url = temporary.database();
    await copyFile(new URL(fixture, folder), fileURLToPath(url));
  });

  test("is brought to this version with every row as it was", async () => {
    const client = createClient(url);
    const before = await readTables(client);
    expect(Math.min(...[...before.values()].map(({ rows }) => rows.length))).toBeGreaterThan(3);
    const store = await LibSQLStore.open(url);
    expect(await readTables(client, before)).toEqual(before);
    expect((await migrationStatus(client)).state).toBe("current");
    expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
    client.close();
    await store.close();
  });

  test("its runs are read, continued and deleted", async () => {
    const store = await LibSQLStore.open(url);
    const { bundles, corrupt } = await store.readBundles();
    expect(corrupt).toEqual([]);
    expect(bundles.map(({ run }) => run.status).toSorted()).toEqual([
      "COMPLETED",
      "FAILED",
      "PENDING",
      "RUNNING",
    ]);
    await store.updateRun("run-1", { status: "COMPLETED", output: { done: true } });
    await store.saveStepOutput("run-1", "step_id-0", "again");
    const claimed = await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 10 });
    expect(claimed.map(({ runId }) => runId)).toContain("run-3");
    await store.deleteRun("run-0");
    expect(await store.listStepExecutions("run-0")).toEqual([]);
    await store.close();
  });
});

test("a store that is not to migrate refuses an older version, and says what to run", async () => {
  const url = temporary.database();
  await copyFile(new URL("0000_initial.db", folder), fileURLToPath(url));
  const open = () => LibSQLStore.open({ url, migrate: false });
  await expect(open()).rejects.toMatchObject({
    code: "SCHEMA_OUT_OF_DATE",
    message: expect.stringContaining("run `gorkflow migrate`"),
  });
  await (await LibSQLStore.open(url)).close();
  await (await open()).close();
});

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

describe("what the first version wrote, by the migration alone", () => {
  let client: LocalClient;
  beforeEach(async () => {
    client = createClient(temporary.database());
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
  afterEach(() => client.close());

  test("a database of the first version keeps every row through the upgrade", async () => {
    const store = await LibSQLStore.open(temporary.database());
    for (const [table, rows] of Object.entries(firstRows)) {
      const columns = Object.keys(rows[0] ?? {});
      const found = await client.execute(`select ${columns.join()} from ${table} order by rowid`);
      expect(found.rows.map((row) => Object.fromEntries(Object.entries(row)))).toEqual(rows);
    }
    expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
    const { bundles, corrupt } = await store.readBundles();
    expect(corrupt).toEqual([]);
    expect(bundles).toMatchObject([
      { run: { wakeAt: null, deadlineAt: null, timeoutMs: null }, attempts: [] },
      { steps: [{ attemptOffset: 0, sleepCount: 0, wakeAt: null }] },
    ]);
    await store.close();
  });

  test("what a worker of the first version left behind is claimed", async () => {
    const store = await LibSQLStore.open(temporary.database());
    const claim = { workerId: "w", leaseMs: 1000, limit: 10 };
    expect(await store.claimRuns(claim)).toMatchObject([{ runId: "left", attempt: 2 }]);
    await store.close();
  });
});
