import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { describe, expect, onTestFinished } from "vitest";
import * as z from "zod";
import { isDrizzle1 } from "../../../src/drizzle.ts";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { UnsupportedError } from "../../../src/errors.ts";
import { throughput } from "../../../src/reports/throughput.ts";
import { schema } from "../../../src/schema/schema.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../../../src/stores/libsql/open-options.ts";
import { test } from "../../support/fixtures.ts";

async function open<Schema extends Record<string, unknown> = Record<string, never>>(
  options: OpenOptions<Schema>,
) {
  const store = await LibSQLStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

/** A query that runs for as long as `rows` say, and gives their number. */
const long = (rows: number) =>
  `with recursive c(n) as (select 1 union all select n + 1 from c where n < ${rows}) select count(*) as n from c`;

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => (error as { cause?: { code?: string } }).cause?.code,
  );

const { workflowRuns } = schema;

const payments = sqliteTable("payments", {
  orderId: text().primaryKey(),
  totalCents: integer().notNull(),
});
const createPayments = "create table payments (order_id text primary key, total_cents integer)";

describe("the reporting database of a file", () => {
  // Drizzle 1.0 takes relations instead of a schema: see `test/host/drizzle-features.test.ts`.
  test.skipIf(isDrizzle1)("gives what db gives, and refuses writes", async ({ folder }) => {
    const store = await open({
      url: folder.database(),
      drizzle: { schema: { payments }, casing: "snake_case" },
    });
    await store.db.run(createPayments);
    await store.db.insert(payments).values({ orderId: "o", totalCents: 5 });
    await store.createRun({ runId: "r", workflowId: "w" });
    const { db, reporting } = store;
    for (const each of [db, reporting]) {
      expect(await each.select().from(payments)).toEqual([{ orderId: "o", totalCents: 5 }]);
      expect(await each.query.payments.findFirst()).toEqual({ orderId: "o", totalCents: 5 });
      expect(await each.query.workflowRuns.findMany({ with: { steps: true } })).toMatchObject([
        { runId: "r", steps: [] },
      ]);
      expect(await throughput(each, { per: "day" })).toHaveLength(1);
    }
    const insert = reporting.insert(payments).values({ orderId: "p", totalCents: 6 });
    expect(await codeOf(insert.execute())).toBe("SQLITE_READONLY");
    expect(await codeOf(reporting.delete(workflowRuns).returning().execute())).toBe(
      "SQLITE_READONLY",
    );
    expect(store.reporting).toBe(reporting);
  });

  test("lets the runs of an engine complete while a query runs", async ({ folder }) => {
    const store = await open({ url: folder.database() });
    const engine = new Engine(store);
    const add = defineStep({
      id: "add",
      input: z.number(),
      output: z.number(),
      run: async (n) => n + 1,
    });
    const workflow = defineWorkflow({ id: "w", version: "1" }).step(add).build();
    engine.register(workflow);
    let isRunning = true;
    let runs = 0;
    const query = store.reporting.all(long(2_000_000)).finally(() => (isRunning = false));
    while (isRunning) {
      expect(await engine.run(workflow, runs)).toMatchObject({ output: runs + 1 });
      runs += 1;
    }
    expect(await query).toEqual([{ n: 2_000_000 }]);
    await engine.close();
    expect(runs).toBeGreaterThan(0);
  });

  test("interrupts its query when the signal aborts or the time is over", async ({ folder }) => {
    const store = await open({ url: folder.database() });
    expect(await codeOf(store.reportingWith({ timeoutMs: 50 }).all(long(1e12)))).toBe(
      "SQLITE_INTERRUPT",
    );
    const controller = new AbortController();
    const query = codeOf(store.reportingWith({ signal: controller.signal }).all(long(1e12)));
    setTimeout(() => controller.abort(Object.assign(new Error("enough"), { code: "OURS" })), 50);
    expect(await query).toBe("OURS");
    expect(await store.reporting.all("select 1 as a")).toEqual([{ a: 1 }]);
  });

  test("is closed with the store", async ({ folder }) => {
    const store = await open({ url: folder.database() });
    const { reporting } = store;
    const query = codeOf(reporting.all(long(1e12)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await store.close();
    expect(await query).toBe("CLIENT_CLOSED");
    expect(await codeOf(reporting.all("select 1"))).toBe("CLIENT_CLOSED");
    expect(() => store.reportingWith({})).toThrow("closed");
  });
});

test("a store in memory and one in an app's database have no reporting database, and say why", async ({
  folder,
}) => {
  const store = await open({ url: ":memory:" });
  expect(() => store.reporting).toThrow(UnsupportedError);
  const client = createClient({ url: folder.database() });
  onTestFinished(() => client.close());
  expect(() => new LibSQLStore(drizzle({ client })).reporting).toThrow(/createReader/);
});

test("the reporting database of a server asks the server, for as long as its limits allow", async ({
  server,
}) => {
  for (const url of [server.httpUrl, server.webSocketUrl]) {
    const store = await open({ url });
    const { runId } = await store.createRun({ workflowId: "w" });
    const one = eq(workflowRuns.runId, runId);
    expect(await store.reporting.select().from(workflowRuns).where(one)).toHaveLength(1);
    expect(await store.reporting.all("select 1 as a")).toEqual([{ a: 1 }]);
    const query = store.reportingWith({ timeoutMs: 50 }).all(long(5_000_000)).execute();
    await expect(query).rejects.toMatchObject({ cause: { name: "TimeoutError" } });
    const transaction = store
      .reportingWith({ timeoutMs: 500 })
      .transaction((tx) => tx.all(long(20_000_000)));
    await expect(transaction).rejects.toMatchObject({ cause: { name: "TimeoutError" } });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(store.reportingWith({ signal }).all("select 1").execute()).rejects.toMatchObject({
      cause: { message: "enough" },
    });
  }
});

test("the reporting database of an embedded replica reads the copy, which has what was written", async ({
  folder,
  server,
}) => {
  const store = await open({ url: folder.database(), syncUrl: server.httpUrl });
  const { runId } = await store.createRun({ workflowId: "w" });
  const one = eq(workflowRuns.runId, runId);
  expect(await store.reporting.select().from(workflowRuns).where(one)).toHaveLength(1);
  expect(await store.reporting.all(long(1000))).toEqual([{ n: 1000 }]);
});

test.skipIf(isDrizzle1)(
  "a step's transaction has the casing, the schema and the logger that open was given",
  async ({ folder }) => {
    const logged: string[] = [];
    const logger = { logQuery: (query: string) => void logged.push(query) };
    const store = await open({
      url: folder.database(),
      drizzle: { schema: { payments }, casing: "snake_case", logger },
    });
    await store.db.run(createPayments);
    type Transaction = Parameters<Parameters<typeof store.db.transaction>[0]>[0];
    const pay = defineStep({
      id: "pay",
      input: z.object({ orderId: z.string() }),
      output: z.number(),
      run: async ({ orderId }, ctx) =>
        ctx.transaction<number, Transaction>(async (tx) => {
          await tx.insert(payments).values({ orderId, totalCents: 500 });
          const payment = await tx.query.payments.findFirst({
            where: eq(payments.orderId, orderId),
          });
          return payment?.totalCents ?? 0;
        }),
    });
    const workflow = defineWorkflow({ id: "shop", version: "1" }).step(pay).build();
    const engine = new Engine(store);
    engine.register(workflow);
    expect(await engine.run(workflow, { orderId: "o1" })).toMatchObject({ output: 500 });
    await engine.close();
    expect(await store.db.select().from(payments)).toEqual([{ orderId: "o1", totalCents: 500 }]);
    expect(logged.some((query) => query.startsWith('insert into "payments" ("order_id"'))).toBe(
      true,
    );
  },
);
