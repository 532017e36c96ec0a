import { getTableName } from "drizzle-orm";
import { describe, expect } from "vitest";
import { migrate } from "../../src/migrations/migrate.ts";
import { reportNames } from "../../src/reports/named-reports.ts";
import { createWorkflowTables, tables as plainTables } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { createStudio } from "../../src/studio/studio.ts";
import type { Studio } from "../../src/studio/options.ts";
import { drizzleOn, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test as base } from "../support/fixtures.ts";
import { get, host } from "./support/requests.ts";

const test = base.extend("store", async ({ folder }, { onCleanup }) => {
  const store = await LibSQLStore.open(await migratedDatabase(folder));
  onCleanup(() => store.close());
  return store;
});

async function csvOf(studio: Studio, query: string): Promise<string> {
  const response = await studio.fetch(new Request(`${host}/api/report.csv?${query}`));
  expect(response.status).toBe(200);
  return response.text();
}

test("tables with a prefix are those of the store, whose plain tables are not read", async ({
  folder,
}) => {
  const url = await migratedDatabase(folder);
  const plain = await LibSQLStore.open(url);
  await plain.createRun({ workflowId: "plain" });
  const tables = createWorkflowTables({ prefix: "app_" });
  for (const name of Object.values(plainTables).map(getTableName)) {
    await plain.db.run(`alter table ${name} rename to app_${name}`);
    await plain.db.run(`create table ${name} as select * from app_${name}`);
  }
  const store = await LibSQLStore.open({ url, migrate: false, tables });
  await store.createRun({ workflowId: "prefixed" });
  await plain.db.run("delete from app_workflow_runs where workflow_id = 'plain'");
  for (const given of [store, new SQLiteStore(store.db, { tables })]) {
    expect(given.tables).toBe(tables);
    const studio = createStudio(given);
    expect((await get(studio, "report?name=queue")).body["rows"]).toMatchObject([
      { workflowId: "prefixed" },
    ]);
    const { body } = await get(studio, "schema");
    expect(body).toMatchObject({ migrations: null });
    expect(body["tables"]).toContainEqual(expect.objectContaining({ name: "app_workflow_runs" }));
  }
  expect(() => createStudio(store, { tables: createWorkflowTables({ prefix: "other_" }) })).toThrow(
    "options.tables: must be the tables of the store",
  );
  expect(() => createStudio(plain, { tables })).toThrow("must be the tables of the store");
  createStudio(new MemoryStore(), { tables });
  await Promise.all([plain.close(), store.close()]);
});

test("integers that the app reads as bigint are numbers in every report", async ({ folder }) => {
  const client = openBetterSQLite3(`${folder.path}/app.db`);
  await migrate(drizzleOn(client));
  client.defaultSafeIntegers(true);
  const store = new SQLiteStore(drizzleOn(client));
  const now = new Date();
  const ended = { startedAt: now, completedAt: now };
  await store.createRun({ runId: "a", workflowId: "w", status: "FAILED", ...ended });
  await store.createStepExecution({ runId: "a", stepId: "s", status: "FAILED", ...ended });
  await store.createRun({ workflowId: "w" });
  const studio = createStudio(store);
  for (const name of reportNames) {
    const { status, body } = await get(studio, `report?name=${name}&per=day&zone=Europe/Berlin`);
    expect({ name, status, body }).toMatchObject({ status: 200 });
  }
  const { body } = await get(studio, "report?name=throughput");
  expect(body["rows"]).toMatchObject([{ created: 2, failed: 1 }]);
  for (const path of ["doctor", "schema", "counts", "runs", "run?id=a"]) {
    expect({ path, ...(await get(studio, path)) }).toMatchObject({ status: 200 });
  }
  await store.close();
  client.close();
});

test("a CSV without rows has the names of the columns", async ({ store }) => {
  const studio = createStudio(store);
  expect(await csvOf(studio, "name=queue")).toBe(
    "workflowId,workflowVersion,ready,sleeping,pendingSince,waitingMs\n",
  );
  for (const name of reportNames) {
    expect(await csvOf(studio, `name=${name}`)).toMatch(/^\w+(,\w+)+\n$/);
  }
});

describe("a report over time", () => {
  const at = async (store: LibSQLStore, ...times: string[]) => {
    for (const time of times) {
      await store.createRun({ workflowId: "w", createdAt: new Date(time) });
    }
  };
  const timesOf = async (store: LibSQLStore, query: string) => {
    const { body } = await get(createStudio(store), `report?name=throughput&${query}`);
    return (body["times"] as number[]).map((time) => new Date(time).toISOString());
  };

  test("has buckets in the zone of the viewer, and names it", async ({ store }) => {
    await at(store, "2026-03-28T23:30:00Z", "2026-03-29T22:30:00Z");
    const studio = createStudio(store);
    const query = "report?name=throughput&per=day&until=2026-03-31T00:00:00Z";
    const starts = async (zone: string) => {
      const { body } = await get(studio, `${query}${zone}`);
      const rows = body["rows"] as { bucketStart: string }[];
      return [body["zone"], ...rows.map(({ bucketStart }) => bucketStart)];
    };
    expect(await starts("&zone=Europe/Berlin")).toEqual([
      "Europe/Berlin",
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T22:00:00.000Z",
    ]);
    expect(await starts("")).toEqual([
      "UTC",
      "2026-03-28T00:00:00.000Z",
      "2026-03-29T00:00:00.000Z",
    ]);
    expect(await get(studio, `${query}&zone=Mars`)).toMatchObject({
      status: 400,
      body: { error: { message: "options.zone: must be an IANA time zone" } },
    });
  });

  test("has the empty buckets beside those with runs, also of months", async ({ store }) => {
    await at(store, "2024-01-15T00:00:00Z", "2024-02-01T00:00:00Z", "2024-08-31T00:00:00Z");
    expect(await timesOf(store, "per=month&zone=UTC&until=2024-12-01T00:00:00Z")).toEqual([
      "2023-12-01T00:00:00.000Z",
      "2024-01-01T00:00:00.000Z",
      "2024-02-01T00:00:00.000Z",
      "2024-03-01T00:00:00.000Z",
      "2024-07-01T00:00:00.000Z",
      "2024-08-01T00:00:00.000Z",
      "2024-09-01T00:00:00.000Z",
      "2024-11-01T00:00:00.000Z",
    ]);
  });

  test("has empty buckets in the zone of the viewer, also where a day has 23 hours", async ({
    store,
  }) => {
    await at(store, "2026-03-29T12:00:00Z");
    const window = "since=2026-03-27T12:00:00Z&until=2026-03-31T12:00:00Z";
    expect(await timesOf(store, `per=day&zone=Europe/Berlin&${window}`)).toEqual([
      "2026-03-26T23:00:00.000Z",
      "2026-03-27T23:00:00.000Z",
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T22:00:00.000Z",
      "2026-03-30T22:00:00.000Z",
    ]);
  });

  test("has empty buckets in any number of years", async ({ store }) => {
    await at(store, "1990-01-01T12:00:00Z", "2025-01-01T12:00:00Z");
    const window = "since=1990-01-01T10:30:00Z&until=2025-01-01T14:00:00Z";
    expect(await timesOf(store, `per=hour&${window}`)).toEqual([
      "1990-01-01T10:00:00.000Z",
      "1990-01-01T11:00:00.000Z",
      "1990-01-01T12:00:00.000Z",
      "1990-01-01T13:00:00.000Z",
      "2025-01-01T11:00:00.000Z",
      "2025-01-01T12:00:00.000Z",
      "2025-01-01T13:00:00.000Z",
    ]);
  });
});
