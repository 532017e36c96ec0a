import { desc, eq, getTableName, gt, is, lt, sql, sum, Table } from "drizzle-orm";
import { Cache, type MutationOption } from "drizzle-orm/cache/core";
import { drizzle as durableObjectDrizzle } from "drizzle-orm/durable-sqlite";
import { drizzle as proxyDrizzle } from "drizzle-orm/sqlite-proxy";
import { drizzle } from "drizzle-orm/libsql/web";
import * as core from "drizzle-orm/sqlite-core";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import {
  oldestPending,
  runDurations,
  slowestSteps,
  storage,
  throughput,
  type ReportOptions,
} from "../../src/reports/index.ts";
import {
  createWorkflowTables,
  stepExecutions,
  workflowRuns,
  workflowState,
} from "../../src/schema/tables.ts";
import { reports } from "./support/all-reports.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const { integer, sqliteTable, text } = core;
const { refineSqliteCodecs: refine, dateFromStoredMilliseconds } = core as unknown as {
  readonly refineSqliteCodecs: (codecs: object) => object;
  readonly dateFromStoredMilliseconds: (value: unknown) => Date;
};

/** An app's table whose columns have names that ours have, too. */
const teams = sqliteTable("teams", {
  workflowId: text("workflow_id").primaryKey(),
  runs: text("runs").notNull(),
  budgetMs: integer("p95_ms").notNull(),
});

const createTeams = "create table teams (workflow_id text primary key, runs text, p95_ms integer)";

const run = (n: number, workflowId: string, durationMs: number) => ({
  runId: `run-${n}`,
  workflowId,
  status: "COMPLETED" as const,
  createdAt: new Date(n * 1000),
  startedAt: new Date(n * 1000),
  completedAt: new Date(n * 1000 + durationMs),
});

const rows = [
  run(1, "mail", 10),
  run(2, "mail", 20),
  run(3, "mail", 30),
  run(4, "orders", 400),
  run(5, "orders", 500),
  run(6, "report", 6000),
];

async function openDatabase(folder: TemporaryFolder) {
  const client = createClient(folder.database());
  await migrate(client);
  const db = drizzle({ client });
  await db.run(sql.raw(createTeams));
  await db.insert(workflowRuns).values(rows);
  await db.insert(stepExecutions).values(
    rows.map(({ runId, completedAt, startedAt }) => ({
      runId,
      stepId: "only",
      status: "COMPLETED" as const,
      attempt: 1,
      startedAt,
      completedAt,
      durationMs: completedAt.getTime() - startedAt.getTime(),
    })),
  );
  await db.insert(teams).values([
    { workflowId: "mail", runs: "the mail team", budgetMs: 25 },
    { workflowId: "orders", runs: "the shop", budgetMs: 1000 },
  ]);
  return db;
}

let folder: TemporaryFolder;
let db: Awaited<ReturnType<typeof openDatabase>>;
beforeEach(async () => {
  folder = await temporaryFolder();
  db = await openDatabase(folder);
});
afterEach(async () => {
  db.$client.close();
  await folder.remove();
});

describe("an app extends a report:", () => {
  test("a further condition narrows the report and replaces none of its conditions", async () => {
    const since = new Date(2000);
    const slow = runDurations(db, { since }).where((row) => gt(row.maxMs, 25));
    expect(await slow).toMatchObject([
      { workflowId: "mail", runs: 2 },
      { workflowId: "orders", runs: 2 },
      { workflowId: "report", runs: 1 },
    ]);
    expect(await slow.where((row) => lt(row.maxMs, 25))).toEqual([]);
  });

  test("times are compared as times", async () => {
    const buckets = throughput(db, { per: "hour" });
    expect(await buckets.where((row) => eq(row.bucketStart, new Date(0)))).toHaveLength(3);
    expect(await buckets.where((row) => gt(row.bucketStart, new Date(0)))).toHaveLength(0);
  });

  test("its own order replaces ours, and pages follow each other", async () => {
    const ordered = () => slowestSteps(db).orderBy((row) => desc(row.completedAt));
    const pages = [
      await ordered().limit(4),
      await ordered().limit(4).offset(4),
      await ordered().limit(4).offset(8),
    ];
    expect(pages.map((page) => page.map(({ runId }) => runId))).toEqual([
      ["run-6", "run-5", "run-4", "run-3"],
      ["run-2", "run-1"],
      [],
    ]);
  });

  test("a join with its own table returns both, even if columns have the same names", async () => {
    const durations = runDurations(db).as("durations");
    const late = await db
      .select()
      .from(durations)
      .innerJoin(teams, eq(teams.workflowId, durations.workflowId))
      .where(gt(durations.p95Ms, teams.budgetMs));
    expect(late).toEqual([
      {
        durations: {
          workflowId: "mail",
          runs: 3,
          p50Ms: 20,
          p90Ms: 30,
          p95Ms: 30,
          p99Ms: 30,
          maxMs: 30,
        },
        teams: { workflowId: "mail", runs: "the mail team", budgetMs: 25 },
      },
    ]);
  });

  test("two reports are joined with each other", async () => {
    const durations = runDurations(db).as("durations");
    const days = throughput(db).as("days");
    const joined = await db
      .select({ workflowId: days.workflowId, created: days.created, p50Ms: durations.p50Ms })
      .from(days)
      .leftJoin(durations, eq(durations.workflowId, days.workflowId))
      .orderBy(days.workflowId);
    expect(joined).toEqual([
      { workflowId: "mail", created: 3, p50Ms: 20 },
      { workflowId: "orders", created: 2, p50Ms: 400 },
      { workflowId: "report", created: 1, p50Ms: 6000 },
    ]);
  });

  test("figures are added up over workflows", async () => {
    const days = throughput(db).as("days");
    const total = await db
      .select({ day: days.bucketStart, created: sum(days.created).mapWith(Number) })
      .from(days)
      .groupBy(days.bucketStart);
    expect(total).toEqual([{ day: new Date(0), created: 6 }]);
  });

  test("a report in its transaction has the uncommitted rows", async () => {
    const rollback = db.transaction(async (tx) => {
      await tx.insert(workflowRuns).values({ runId: "new", workflowId: "mail" });
      expect(await oldestPending(tx)).toMatchObject([{ runId: "new" }]);
      throw new Error("enough");
    });
    await expect(rollback).rejects.toThrow("enough");
    expect(await oldestPending(db)).toEqual([]);
  });

  test("a report can be prepared, and be part of a batch", async () => {
    const prepared = runDurations(db).limit(sql.placeholder("limit")).prepare();
    expect(await prepared.all({ limit: 2 })).toHaveLength(2);
    const [first, second] = await db.batch([runDurations(db), slowestSteps(db).limit(1)]);
    expect([first.length, second[0]?.runId]).toEqual([3, "run-6"]);
  });
});

test("the tables may have a prefix", async () => {
  const tables = createWorkflowTables({ prefix: "app_" });
  await db.$client.executeMultiple(`
    create table app_workflow_runs as select * from workflow_runs where workflow_id = 'mail';
    create table app_step_executions as select * from step_executions where run_id = 'run-1';
    create table app_step_attempts as select * from step_attempts;
    create table app_step_outputs as select * from step_outputs;
    create table app_workflow_state as select * from workflow_state;`);
  for (const [name, report] of Object.entries(reports)) {
    const query = (report as (of: typeof db, options: ReportOptions) => typeof plain)(db, {
      tables,
    });
    const plain = runDurations(db);
    expect(query.toSQL().sql, name).not.toMatch(
      /"(workflow|step)_(runs|executions|attempts|outputs|state)"/,
    );
    await query;
  }
  expect(await runDurations(db, { tables })).toMatchObject([{ workflowId: "mail", runs: 3 }]);
  expect(await slowestSteps(db, { tables })).toMatchObject([{ runId: "run-1", durationMs: 10 }]);
});

test("every report fits into subqueries, as the stack of SQLite's parser is limited", async () => {
  for (const [name, report] of Object.entries(reports)) {
    for (const options of [{}, { workflowId: "mail", since: new Date(0) }]) {
      const query = report(db, options);
      const nested = sql`select * from (select * from (select * from (${query}) a) b) c`;
      expect({ [name]: await db.all(nested) }).toEqual({ [name]: await db.all(query) });
    }
  }
});

describe("every report has the same answer on", () => {
  /** Opens the same file without our client. */
  const openBinding = () => new Database(folder.database().slice("file:".length));

  test.each(Object.entries(reports))("a third-party driver: %s", async (_, report) => {
    const binding = openBinding();
    const read = async (query: string, params: unknown[]) =>
      binding.prepare(query).raw(true).all(params) as unknown[][];
    // The proxy of Drizzle 1.0 decodes nothing unless it is told how.
    const codecs = { "integer:timestamp_ms": { normalize: dateFromStoredMilliseconds } };
    const proxy = isDrizzle1
      ? proxyDrizzle({ all: read } as never, { codecs: refine(codecs) } as never)
      : proxyDrizzle(async (query, params) => ({ rows: await read(query, params) }));
    expect(await report(proxy)).toEqual(await report(db));
    binding.close();
  });

  test.each(Object.entries(reports))("a synchronous driver: %s", async (_, report) => {
    const binding = openBinding();
    const synchronous = durableObjectDrizzle({
      sql: {
        exec: (query: string, ...params: unknown[]) => ({
          raw: () => ({ toArray: () => binding.prepare(query).raw(true).all(params) }),
        }),
      },
    } as unknown as Parameters<typeof durableObjectDrizzle>[0]);
    expect(report(synchronous).all()).toEqual(await report(db));
    binding.close();
  });
});

/** A cache that keeps each answer until one of its tables is written to. */
class KeepingCache extends Cache {
  readonly #answers = new Map<string, { readonly found: unknown[]; readonly tables: string[] }>();
  override strategy(): "all" {
    return "all";
  }
  override get(key: string): Promise<unknown[] | undefined> {
    return Promise.resolve(this.#answers.get(key)?.found);
  }
  override put(key: string, found: unknown[], tables: string[]): Promise<void> {
    this.#answers.set(key, { found, tables });
    return Promise.resolve();
  }
  override onMutate({ tables = [] }: MutationOption): Promise<void> {
    const written = new Set(
      [tables].flat().map((each) => (is(each, Table) ? getTableName(each) : each)),
    );
    for (const [key, answer] of this.#answers) {
      if (answer.tables.some((table) => written.has(table))) this.#answers.delete(key);
    }
    return Promise.resolve();
  }
}

test("Drizzle's cache answers for a report until one of its tables is written to", async () => {
  const cached = drizzle({ client: db.$client, cache: new KeepingCache() });
  const bytes = async () => (await storage(cached)).map(({ stateBytes }) => stateBytes);
  expect(await bytes()).toEqual([0, 0, 0]);
  const change = { runId: "run-1", key: "k", value: "12345678" };
  await db.insert(workflowState).values(change);
  expect(await bytes()).toEqual([0, 0, 0]);
  await cached.update(workflowState).set({ revision: 2 });
  expect(await bytes()).toEqual([10, 0, 0]);
});
