// The store on a real D1 database, in workerd.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/d1";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { D1Client } from "../../../src/drivers/d1.ts";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { compiledMigrations } from "../../../src/migrations/compiled.ts";
import { doctor } from "../../../src/migrations/doctor/doctor.ts";
import { migrationStatus } from "../../../src/migrations/journal.ts";
import { applyMigrations, migrate } from "../../../src/migrations/migrate.ts";
import { clientOf } from "../../../src/migrations/migration-client.ts";
import { throughput } from "../../../src/reports/throughput.ts";
import { workflowRuns } from "../../../src/schema/tables.ts";
import { hasHostTransactions } from "../../../src/store/transactions.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import { describeBatches } from "../../../src/testing/conformance/batches.ts";
import { storeTest } from "../../../src/testing/conformance/environment.ts";
import { describeState } from "../../../src/testing/conformance/state.ts";
import { describeValues } from "../../../src/testing/conformance/values.ts";
import { compareStores } from "../../../src/transfer/compare-stores.ts";
import { exportStore } from "../../../src/transfer/export/export-store.ts";
import { importStore } from "../../../src/transfer/export/import-store.ts";
import { drizzleOn, startD1, type LocalD1 } from "../../support/d1.ts";

/** In the layout that wrangler reads, on any version of Drizzle. */
const migrationsFolder = join(import.meta.dirname, "../../../drizzle");
const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });

let d1: LocalD1;
beforeAll(async () => {
  d1 = await startD1();
  await migrate(drizzleOn(d1.client));
  await d1.client.exec("create table orders (order_id text primary key)");
});
afterAll(() => d1?.stop());
afterEach(() => d1.client.exec("delete from workflow_runs"));

const openStore = () => new SQLiteStore(drizzleOn(d1.client));
const newRun = (runId: string) => ({ runId, workflowId: "w" });

const number = z.object({ n: z.number() });
const io = { input: number, output: number };
const double = defineStep({ id: "double", ...io, run: async ({ n }) => ({ n: n * 2 }) });
const again = defineStep({ id: "again", ...io, run: async ({ n }) => ({ n: n * 2 }) });
const twice = defineWorkflow({ id: "twice" }).step(double).step(again).build();

describe("transactions", () => {
  test("are unsupported, and a start in one of the app is refused", async () => {
    const store = openStore();
    await expect(store.transaction(async () => 1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(hasHostTransactions(store)).toBe(false);
    const engine = new Engine(store);
    const start = engine.start(twice, { n: 1 }, { tx: store.db as never });
    await expect(start).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await engine.close();
  });

  test("are replaced by statements in a batch of the app, with guards", async () => {
    const { db, statements } = openStore();
    await db.batch([
      db.insert(orders).values({ orderId: "a" }),
      statements.createRun(newRun("a")),
      statements.guard(),
    ]);
    const second = db.batch([
      db.insert(orders).values({ orderId: "b" }),
      statements.updateRun("unknown", { progress: 1 }),
      statements.guard(),
    ]);
    await expect(second).rejects.toThrow("gorkflow_guard");
    expect(await db.select().from(orders)).toEqual([{ orderId: "a" }]);
    await d1.client.exec("delete from orders");
  });
});

describe("the contract", () => {
  const store = storeTest({
    name: "D1",
    open: async ({ clock }) => new SQLiteStore(drizzleOn(d1.client), { clock }),
  });
  // `npm run test:platforms` runs all of it.
  describe("of batches", () => describeBatches(store));
  describe("of state", () => describeState(store));
  describe("of values", () => describeValues(store, { maxRowBytes: 2_000_000 }));
});

describe("the engine", () => {
  test("runs a workflow, and a report reads it", async () => {
    const store = openStore();
    const engine = new Engine(store);
    expect(await engine.run(twice, { n: 1 })).toMatchObject({
      status: "COMPLETED",
      output: { n: 4 },
    });
    await engine.close();
    const rows = await throughput(store.db);
    expect(rows).toMatchObject([{ workflowId: "twice", completed: 1 }]);
  });

  test("cancels the steps of a run", async () => {
    const store = openStore();
    const engine = new Engine(store);
    const run = async (_: unknown, ctx: StepContext) => {
      await ctx.sleep(3_600_000);
      return { n: 0 };
    };
    const asleep = defineStep({ id: "asleep", ...io, run });
    const sleeper = defineWorkflow({ id: "sleeper" }).step(asleep).build();
    const runId = await engine.start(sleeper, { n: 1 });
    engine.register(sleeper);
    void engine.work();
    await expect
      .poll(() => store.listStepExecutions(runId), { timeout: 20_000 })
      .toMatchObject([{ wakeAt: expect.any(Date) }]);
    await engine.cancel(runId);
    await engine.close();
    expect(await store.getRun(runId)).toMatchObject({ status: "CANCELLED" });
    expect(await store.listStepExecutions(runId)).toMatchObject([{ status: "CANCELLED" }]);
  });

  test("starts a new run with the key of a failed run", async () => {
    const store = openStore();
    const engine = new Engine(store);
    const options = { idempotencyKey: "k", onExisting: "reuseKey" } as const;
    const first = await engine.start(twice, { n: 1 }, options);
    await store.updateRun(first, { status: "FAILED" });
    const starts = [1, 2, 3].map(() => engine.start(twice, { n: 1 }, options));
    const [second, ...others] = await Promise.all(starts);
    expect(second).not.toBe(first);
    expect(others).toEqual([second, second]);
    expect(await store.getRun(first)).toMatchObject({ idempotencyKey: null });
    await engine.close();
  });

  test("costs a known number of requests and rows", async () => {
    const store = openStore();
    await store.listRuns();
    const before = { ...d1.costs };
    const engine = new Engine(store);
    await engine.run(twice, { n: 1 });
    await engine.close();
    const { requests, rowsWritten } = d1.costs;
    console.info("a run of two steps:", {
      requests: requests - before.requests,
      queries: d1.costs.queries - before.queries,
      rowsRead: d1.costs.rowsRead - before.rowsRead,
      rowsWritten: rowsWritten - before.rowsWritten,
    });
    expect(requests - before.requests).toBeLessThan(40);
    expect(rowsWritten - before.rowsWritten).toBeLessThan(120);
  });
});

describe("errors", () => {
  test("of constraints name the table and the columns", async () => {
    const store = openStore();
    await store.createRun({ ...newRun("a"), idempotencyKey: "k" });
    await d1.client.exec(
      "create unique index orders_of_test on workflow_runs (resource_id) where resource_id is not null",
    );
    await store.createRun({ ...newRun("b"), resourceId: "same" });
    await expect(store.createRun({ ...newRun("c"), resourceId: "same" })).rejects.toMatchObject({
      code: "CONSTRAINT",
      kind: "unique",
      table: "workflow_runs",
      columns: ["resource_id"],
    });
    // A neighbour in the same batch is written.
    const outcomes = await Promise.allSettled([
      store.createRun(newRun("d")),
      store.createRun({ ...newRun("e"), resourceId: "same" }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await d1.client.exec("drop index orders_of_test");
  });

  test("of a write that a trigger leaves out, also if the trigger writes", async () => {
    const store = openStore();
    await store.createRun(newRun("a"));
    await d1.client.exec(
      "create trigger app_create before insert on workflow_runs begin insert into orders values (new.run_id); select raise(ignore); end",
    );
    await d1.client.exec(
      "create trigger app_update before update on workflow_runs begin insert into orders values ('u'); select raise(ignore); end",
    );
    await expect(store.createRun(newRun("b"))).rejects.toMatchObject({ code: "CONSTRAINT" });
    await expect(store.updateRun("a", { progress: 1 })).rejects.toMatchObject({
      code: "CONSTRAINT",
    });
    expect(await store.findRun("b")).toBeNull();
    await d1.client.exec("drop trigger app_create");
    await d1.client.exec("drop trigger app_update");
    await d1.client.exec("delete from orders");
  });

  const failing = (message: string, times = Infinity): D1Client => {
    const fail = async (statements: unknown[]) => {
      if (times-- > 0) throw new Error(message);
      return d1.client.batch(statements as never);
    };
    return { prepare: (sql) => d1.client.prepare(sql), batch: fail };
  };

  test.concurrent.each([
    ["D1_ERROR: D1 DB is overloaded. Requests queued for too long.", "STORE_BUSY", true, undefined],
    ["D1_ERROR: Network connection lost.", "STORE_CONNECTION", true, "unknown"],
    [
      "D1_ERROR: Internal error in D1 DB storage caused object to be reset.",
      "STORE_CONNECTION",
      true,
      "unknown",
    ],
    [
      "D1_ERROR: D1 DB exceeded its CPU time limit and was reset.",
      "STORE_CONNECTION",
      false,
      "unknown",
    ],
    [
      "D1_ERROR: D1 DB's isolate exceeded its memory limit and was reset.",
      "STORE_CONNECTION",
      false,
      "unknown",
    ],
    ["Too many API requests by single Worker invocation.", "STORE_CONNECTION", false, "none"],
    ["D1_ERROR: Exceeded maximum DB size", "STORE_FULL", true, undefined],
    ["D1_ERROR: something new", "STORE_CONNECTION", true, "unknown"],
  ])("%s", async (message, code, retryable, outcome) => {
    const store = new SQLiteStore(drizzleOn(failing(message)));
    const written = store.updateRun("r", { progress: 1 });
    await expect(written).rejects.toMatchObject({ code, retryable, ...(outcome && { outcome }) });
  });

  test("are retried if nothing can have been written, or writing twice is the same", async () => {
    const lost = "D1_ERROR: Network connection lost.";
    expect(
      await new SQLiteStore(drizzleOn(failing(lost, 1))).createRun({ workflowId: "w" }),
    ).toMatchObject({ revision: 1 });
    const busy = "D1_ERROR: D1 DB is overloaded. Too many requests queued.";
    expect(await new SQLiteStore(drizzleOn(failing(busy, 2))).createRun(newRun("b"))).toMatchObject(
      {
        revision: 1,
      },
    );
  });
});

describe("migrations", () => {
  test("are applied by `wrangler d1 migrations apply`, and the doctor agrees", async () => {
    const other = await startD1();
    try {
      const files = (await readdir(migrationsFolder)).filter((name) => name.endsWith(".sql"));
      expect(files).toHaveLength(compiledMigrations.length);
      // wrangler sends each file with the row of its journal as one text, whose statements D1 separates.
      for (const name of files.toSorted()) {
        const sql = await readFile(join(migrationsFolder, name), "utf8");
        await other.applyFile(sql);
      }
      const db = drizzleOn(other.client);
      const store = new SQLiteStore(db);
      expect(await store.createRun(newRun("a"))).toMatchObject(newRun("a"));
      expect(await doctor(db)).toEqual({ healthy: true, findings: [] });
    } finally {
      await other.stop();
    }
  });

  test("are applied once by `migrate`, also if two do it at the same time", async () => {
    const other = await startD1();
    try {
      const db = drizzleOn(other.client);
      expect((await migrationStatus(db)).state).toBe("empty");
      const reports = await Promise.all([migrate(db), migrate(db)]);
      const applied = reports.flatMap((report) => report.applied);
      expect(applied.toSorted()).toEqual(compiledMigrations.map(({ tag }) => tag));
      expect((await migrationStatus(db)).state).toBe("current");
      expect(await doctor(db)).toEqual({ healthy: true, findings: [] });
    } finally {
      await other.stop();
    }
  });

  test("that rebuild a table are refused", async () => {
    const rebuild = { tag: "x", when: Date.now(), hash: "x", statements: ["DROP TABLE `orders`"] };
    const applied = applyMigrations(clientOf(drizzleOn(d1.client)), [
      ...compiledMigrations,
      rebuild,
    ]);
    await expect(applied).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

test("runs are exported to another store and imported again", async () => {
  const store = openStore();
  const engine = new Engine(store);
  await engine.run(twice, { n: 1 });
  await engine.close();
  await store.saveState((await store.listRuns()).runs[0]!.runId, "k", new Uint8Array([1, 2]));
  const memory = new MemoryStore();
  await importStore(memory, exportStore(store), { onConflict: "fail" });
  expect(await compareStores(store, memory)).toMatchObject({ differences: [] });
  await d1.client.exec("delete from workflow_runs");
  await importStore(store, exportStore(memory), { onConflict: "fail" });
  expect(await store.db.select().from(workflowRuns)).toHaveLength(1);
  expect(await compareStores(store, memory)).toMatchObject({ differences: [] });
});

test("a large run is read at one moment", async () => {
  const store = openStore();
  await store.createRun(newRun("large"));
  const large = "x".repeat(1_500_000);
  for (const key of ["a", "b", "c", "d"]) await store.saveState("large", key, large);
  expect(Object.keys(await store.getAllState("large"))).toEqual(["a", "b", "c", "d"]);
});

test("the driver is found with any of its options", () => {
  expect(() => new SQLiteStore(drizzle(d1.client as never, { logger: false }))).not.toThrow();
});
