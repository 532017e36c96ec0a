import { copyFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor.ts";
import { migrationStatus } from "../../src/migrations/journal.ts";
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
