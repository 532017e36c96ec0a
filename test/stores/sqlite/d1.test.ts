// The parts of the store on D1 that need no D1: its batches run on libSQL here, and in workerd in the long tests.
import { expect } from "vitest";
import type { D1Client } from "../../../src/drivers/d1.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import { openBetterSQLite3 } from "../../support/better-sqlite3.ts";
import { drizzle } from "drizzle-orm/d1";
import { cancelSteps } from "../../../src/engine/run/run-cancellation.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { z } from "zod";
import { test } from "../../support/fixtures.ts";

function openD1(file: string): { readonly client: D1Client; close(): void } {
  const database = openBetterSQLite3(file);
  const prepare = (sql: string, args: unknown[] = []) => ({
    bind: (...values: unknown[]) => prepare(sql, values),
    raw: async () => database.prepare(sql).raw().all(args) as unknown[][],
    run() {
      const statement = database.prepare(sql);
      if (statement.reader) return { results: statement.all(args), meta: { changes: 1 } };
      return { results: [], meta: { changes: statement.run(args).changes } };
    },
  });
  const batch = async (statements: ReturnType<typeof prepare>[]) => {
    try {
      return database.transaction(() => statements.map((each) => each.run()))();
    } catch (error) {
      const { message, code } = error as { message: string; code: string };
      throw new Error(`D1_ERROR: ${message}: ${code}`, { cause: error });
    }
  };
  return { client: { prepare, batch } as never, close: () => database.close() };
}

/** The client, whose first batch with a statement that matches is sent after `work`. */
function interleaved(client: D1Client, matches: RegExp, work: () => Promise<unknown>): D1Client {
  const statements = new WeakMap<object, string>();
  let isDone = false;
  const watched = (sql: string, statement: ReturnType<D1Client["prepare"]>) => {
    statements.set(statement, sql);
    const bind = (...args: unknown[]) => watched(sql, bound(...args));
    const bound = statement.bind.bind(statement);
    return Object.assign(statement, { bind });
  };
  return {
    prepare: (sql) => watched(sql, client.prepare(sql)),
    async batch(sent) {
      if (!isDone && sent.some((each) => matches.test(statements.get(each) ?? ""))) {
        isDone = true;
        await work();
      }
      return client.batch(sent);
    },
  };
}

test("a step that another worker begins meanwhile is not cancelled with its run", async ({
  folder,
}) => {
  const { client, close } = openD1(`${folder.path}/d1.db`);
  try {
    const db = drizzle(client as never);
    await migrate(db);
    const store = new SQLiteStore(db);
    const { runId } = await store.createRun({ workflowId: "w", status: "RUNNING" });
    await store.createStepExecution({ runId, stepId: "s", status: "RUNNING", attempt: 1 });
    await store.updateRun(runId, { status: "CANCELLED" });
    const beginAgain = async () => {
      await store.reopenRun(runId);
      await store.claimRuns({ workerId: "other", leaseMs: 60_000, limit: 1 });
      await store.updateStepExecution(runId, "s", { status: "RUNNING", attempt: 2 });
    };
    const late = interleaved(client, /^update "step_executions"/, beginAgain);
    await cancelSteps(new SQLiteStore(drizzle(late as never)), [runId], new Date());
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", workerId: "other" });
    const [step] = await store.listStepExecutions(runId);
    expect(step).toMatchObject({ status: "RUNNING", attempt: 2 });
    expect(await store.listStepAttempts(runId)).toMatchObject([
      { attempt: 1, status: "CANCELLED" },
    ]);
    await store.updateRun(runId, { status: "CANCELLED" });
    await cancelSteps(store, [runId], new Date());
    expect(await store.listStepExecutions(runId)).toMatchObject([{ status: "CANCELLED" }]);
  } finally {
    close();
  }
});

test("a start takes a key in one batch, or not at all", async ({ folder }) => {
  const { client, close } = openD1(`${folder.path}/d1.db`);
  try {
    const db = drizzle(client as never);
    await migrate(db);
    const store = new SQLiteStore(db);
    const run = { workflowId: "w", idempotencyKey: "k", status: "FAILED" } as const;
    const { runId } = await store.createRun(run);
    const step = defineStep({ id: "s", input: z.number(), output: z.number(), run: (n) => n });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const startAfter = async (work: () => Promise<unknown>) => {
      const late = interleaved(client, /^update "workflow_runs"/, work);
      const engine = new Engine(new SQLiteStore(drizzle(late as never)));
      const started = await engine.start(workflow, 1, {
        idempotencyKey: "k",
        onExisting: "reuseKey",
      });
      await engine.close();
      return started;
    };
    // The run is reopened: it keeps its key.
    expect(await startAfter(() => store.reopenRun(runId))).toBe(runId);
    await store.updateRun(runId, { status: "FAILED" });
    // The run changes, and is still free.
    const second = await startAfter(async () => {
      await store.reopenRun(runId);
      await store.updateRun(runId, { status: "CANCELLED" });
    });
    expect(second).not.toBe(runId);
    expect(await store.getRun(runId)).toMatchObject({ idempotencyKey: null, status: "CANCELLED" });
    await store.updateRun(second, { status: "FAILED" });
    // Another start takes the key first.
    let third = "";
    const fourth = await startAfter(async () => {
      third = await startAfter(async () => {});
    });
    expect(fourth).toBe(third);
    const { runs } = await store.listRuns();
    expect(runs.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["k", null, null]);
    // A trigger leaves out the new run, so the key is not taken.
    await store.updateRun(third, { status: "FAILED" });
    const ignore = client.prepare(
      "create trigger app_ignores before insert on workflow_runs begin select raise(ignore); end",
    );
    await client.batch([ignore]);
    await expect(startAfter(async () => {})).rejects.toMatchObject({ code: "CONSTRAINT" });
    expect(await store.getRun(third)).toMatchObject({ idempotencyKey: "k", status: "FAILED" });
  } finally {
    close();
  }
});

test("a batch that fails on D1 has the error of its first failed write", async ({ folder }) => {
  const { client, close } = openD1(`${folder.path}/d1.db`);
  try {
    const db = drizzle(client as never);
    await migrate(db);
    const store = new SQLiteStore(db);
    await store.createRun({ runId: "r", workflowId: "w", idempotencyKey: "k" });
    const failed = store.batch((write) => {
      write.createRun({ runId: "second", workflowId: "w", idempotencyKey: "k" });
      write.updateRun("r", { progress: 0.5 });
      write.createStepExecution({ runId: "r", stepId: "s" });
      write.updateRun("r", { progress: 0.6 }, { expectedRevision: 1 });
    });
    await expect(failed).rejects.toMatchObject({ code: "REVISION_CONFLICT", actualRevision: 2 });
    const outdated = { expectedRevisions: [{ runId: "r", revision: 7 }] };
    await expect(
      store.batch((write) => write.saveState("r", "k", 1), outdated),
    ).rejects.toMatchObject({ code: "REVISION_CONFLICT", expectedRevision: 7, actualRevision: 1 });
    const fence = { runId: "r", workerId: "nobody" };
    await expect(store.batch(() => {}, { fence })).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await store.getRun("r")).toMatchObject({ progress: 0, revision: 1 });
    await store.createStepExecution({ runId: "r", stepId: "s" });
    await expect(store.reopenRun("r", { fromStep: "s" })).rejects.toMatchObject({
      code: "RUN_TRANSITION",
    });
    const large = "x".repeat(2_000_000);
    await expect(store.updateRun("r", { input: large })).rejects.toMatchObject({
      code: "INVALID_VALUE",
      path: "input",
    });
    await expect(store.transaction(async () => 1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    for (const key of ["a", "b", "c"]) await store.saveState("r", key, "x".repeat(1_900_000));
    expect(Object.keys(await store.getAllState("r"))).toEqual(["a", "b", "c"]);
  } finally {
    close();
  }
});
