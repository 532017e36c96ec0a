import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { z } from "zod";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { AppTransaction } from "../../src/drizzle-types.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import {
  InvalidArgumentError,
  RunNotFoundError,
  RunTransitionError,
  StepTransitionError,
} from "../../src/errors.ts";
import {
  createWorkflowTables,
  workflowRuns,
  type WorkflowTables,
} from "../../src/schema/tables.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { makeEngine } from "../engine/support/engines.ts";
import {
  openHostDatabase,
  orders,
  placeNames,
  type HostDatabase,
} from "./support/host-databases.ts";

const failure = new Error("the app has changed its mind");

const step = defineStep({
  id: "pack",
  input: z.object({ orderId: z.string() }),
  output: z.string(),
  run: ({ orderId }) => `packed ${orderId}`,
});
const fulfil = defineWorkflow({ id: "fulfil" }).step(step).build();

test("tables that are not all there are refused by name", async () => {
  const host = await openHostDatabase("a file, by our client");
  const tables: WorkflowTables = createWorkflowTables({ prefix: "app_" });
  Reflect.deleteProperty(tables, "stepOutputs");
  expect(() => new LibSQLStore(host.db, { tables })).toThrow(
    /options.tables: must be the tables of createWorkflowTables: workflowRuns, stepExecutions/,
  );
  await host.close();
});

describe.each(placeNames)("in an app's database in %s", (place) => {
  let host: HostDatabase;
  let store: LibSQLStore<HostDatabase["db"]>;
  beforeAll(async () => {
    host = await openHostDatabase(place);
    store = new LibSQLStore(host.db);
  });
  afterAll(() => host.close());

  const orderIds = async () => (await host.db.select().from(orders)).map(({ orderId }) => orderId);
  const missing = async (runId: string) =>
    expect(store.getRun(runId)).rejects.toBeInstanceOf(RunNotFoundError);

  describe("db.transaction and store.withTransaction", () => {
    test("commit the app's rows and the store's together", async () => {
      await host.db.transaction(async (tx) => {
        const run = await store.withTransaction(tx).createRun({ workflowId: "w", runId: "both" });
        await tx.insert(orders).values({ orderId: "both", runId: run.runId });
        await store.withTransaction(tx).saveStepOutput("both", "s", { n: 1 });
      });
      expect(await orderIds()).toContain("both");
      expect(await store.loadStepOutput("both", "s")).toEqual({ n: 1 });
    });

    test("roll both back, with the app's own error", async () => {
      const work = host.db.transaction(async (tx) => {
        await store.withTransaction(tx).createRun({ workflowId: "w", runId: "neither" });
        await tx.insert(orders).values({ orderId: "neither" });
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      expect(await orderIds()).not.toContain("neither");
      await missing("neither");
    });

    test("a store's error is typed, and leaves the transaction to the app", async () => {
      await host.db.transaction(async (tx) => {
        const inside = store.withTransaction(tx);
        await tx.insert(orders).values({ orderId: "kept" });
        await expect(inside.getRun("absent")).rejects.toBeInstanceOf(RunNotFoundError);
        await expect(inside.saveState("absent", "k", 1)).rejects.toBeInstanceOf(RunNotFoundError);
        await inside.createRun({ workflowId: "w", runId: "kept" });
      });
      expect(await orderIds()).toContain("kept");
      expect((await store.getRun("kept")).status).toBe("PENDING");
    });

    test("read all that a run has", async () => {
      const runId = "whole";
      const bundle = async (of: WorkflowStore) =>
        (await of.readBundles({ runIds: [runId] })).bundles;
      const inside = await host.db.transaction(async (tx) => {
        const own = store.withTransaction(tx);
        await own.createRun({ workflowId: "w", runId, status: "FAILED", tags: { a: "b" } });
        await own.createStepExecution({ runId, stepId: "s" });
        await own.saveStepAttempt({ runId, stepId: "s", attempt: 1, status: "FAILED" });
        await own.saveStepOutput(runId, "s", { n: 1 });
        await own.saveState(runId, "k", 1);
        expect(await own.getAllState(runId)).toMatchObject({ k: 1 });
        expect(await own.listStepExecutions(runId)).toHaveLength(1);
        expect(await own.listStepAttempts(runId)).toHaveLength(1);
        expect((await own.listRuns({ status: ["FAILED", "RUNNING"] })).runs).toHaveLength(1);
        expect(await own.countRuns({ workflowId: "w" })).toMatchObject({ FAILED: 1 });
        expect((await own.stats()).runs).toMatchObject({ FAILED: 1 });
        return bundle(own);
      });
      expect(inside).toEqual(await bundle(store));
      const removed = await host.db.transaction((tx) =>
        store.withTransaction(tx).pruneRuns({ olderThan: new Date(Date.now() + 1000) }),
      );
      expect(removed).toMatchObject({ deletedRuns: 1 });
      await missing(runId);
    });

    test("a savepoint of the store is undone alone", async () => {
      await host.db.transaction(async (tx) => {
        const inside = store.withTransaction(tx);
        await tx.insert(orders).values({ orderId: "outer" });
        const nested = inside.transaction(async (savepoint) => {
          await savepoint.createRun({ workflowId: "w", runId: "inner" });
          throw failure;
        });
        await expect(nested).rejects.toBe(failure);
        await inside.createRun({ workflowId: "w", runId: "outer" });
      });
      await missing("inner");
      expect(await orderIds()).toContain("outer");
      expect((await store.getRun("outer")).runId).toBe("outer");
    });
  });

  describe("engine.start(…, { tx })", () => {
    test("starts when the app commits, and runs", async () => {
      const engine = makeEngine(store);
      engine.register(fulfil);
      const runId = await host.db.transaction(async (tx) => {
        const started = await engine.start(fulfil, { orderId: "o1" }, { tx });
        await tx.insert(orders).values({ orderId: "o1", runId: started });
        return started;
      });
      expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: "packed o1" });
    });

    test("refuses what is no transaction, the database itself above all", async () => {
      const engine = makeEngine(store);
      const before = await store.countRuns();
      for (const [tx, says] of [
        [host.db, /^transaction: is the database itself/],
        [host.db.$client, /^transaction: must be what `db.transaction`/],
        [{}, /^transaction: must be what/],
      ] as const) {
        const options = { tx: tx as unknown as AppTransaction };
        await expect(engine.start(fulfil, { orderId: "o3" }, options)).rejects.toMatchObject({
          code: "INVALID_ARGUMENT",
          message: expect.stringMatching(says),
        });
      }
      expect(await store.countRuns()).toEqual(before);
    });

    test("says that a transaction is over", async () => {
      let kept: Parameters<Parameters<HostDatabase["db"]["transaction"]>[0]>[0] | null = null;
      await host.db.transaction(async (tx) => void (kept = tx));
      const late = store.withTransaction(kept as unknown as AppTransaction);
      await expect(late.createRun({ workflowId: "w" })).rejects.toThrow(/the transaction is over/);
    });

    test("says that a trigger has rolled it back", async () => {
      const { runId } = await store.createRun({ workflowId: "w" });
      await host.db.$client.execute(
        "create trigger rolls_back before update on workflow_runs when new.progress = 0.7 begin select raise(rollback, 'no'); end",
      );
      const refused = { code: "CONSTRAINT", kind: "trigger", retryable: false };
      const update = (tx: WorkflowStore) => tx.updateRun(runId, { progress: 0.7 });
      await expect(store.transaction(update)).rejects.toMatchObject(refused);
      await expect(store.hostTransaction((_, tx) => update(tx))).rejects.toMatchObject(refused);
      const goOn = (tx: WorkflowStore) => update(tx).catch(() => tx.saveState(runId, "key", 1));
      const atOnce = (tx: WorkflowStore) =>
        Promise.allSettled([
          update(tx),
          tx.saveState(runId, "key", 1),
          tx.saveState(runId, "b", 1),
        ]);
      for (const ended of [
        () => store.transaction(atOnce),
        () => store.hostTransaction((_, tx) => atOnce(tx)),
        () => store.transaction(goOn),
        () =>
          store.transaction((tx) =>
            tx.transaction(update).catch(() => tx.saveState(runId, "key", 1)),
          ),
        () => store.hostTransaction((_, tx) => goOn(tx)),
      ]) {
        await expect(ended()).rejects.toMatchObject({ code: "STORE_CONNECTION", outcome: "none" });
      }
      await host.db.$client.execute("drop trigger rolls_back");
      expect(await store.getAllState(runId)).toEqual({});
    });

    test("starts nothing when the app rolls back", async () => {
      const engine = makeEngine(store);
      engine.register(fulfil);
      let runId = "";
      const work = host.db.transaction(async (tx) => {
        runId = await engine.start(fulfil, { orderId: "o2" }, { tx });
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      await missing(runId);
      expect(await engine.recover()).toBe(0);
    });
  });

  describe("store.statements in db.batch", () => {
    test("take effect with the app's own statements", async () => {
      const { statements } = store;
      await host.db.batch([
        statements.createRun({ workflowId: "w", runId: "batch", tags: { a: "b" } }),
        host.db.insert(orders).values({ orderId: "batch", runId: "batch" }),
        statements.createStepExecution({ runId: "batch", stepId: "s" }),
        statements.updateStepExecution("batch", "s", { status: "RUNNING" }),
        statements.saveStepOutput("batch", "s", [null, "ü"]),
        statements.saveState("batch", "k", { deep: [1] }),
        statements.updateRun("batch", { status: "RUNNING", progress: 0.5 }),
      ]);
      expect(await store.getRun("batch")).toMatchObject({
        status: "RUNNING",
        progress: 0.5,
        revision: 2,
        startedAt: expect.any(Date),
        tags: { a: "b" },
      });
      expect((await store.getStepExecution("batch", "s")).status).toBe("RUNNING");
      expect(await store.loadStepOutput("batch", "s")).toEqual([null, "ü"]);
      expect(await store.getAllState("batch")).toEqual({ k: { deep: [1] } });
      await host.db.batch([statements.deleteState("batch", "k"), statements.deleteRun("batch")]);
      await missing("batch");
      expect(await orderIds()).toContain("batch");
    });

    test("are undone when a statement of the app fails", async () => {
      const work = host.db.batch([
        store.statements.createRun({ workflowId: "w", runId: "undone" }),
        host.db.insert(orders).values({ orderId: "batch" }),
      ]);
      await expect(work).rejects.toThrow();
      await missing("undone");
    });

    test("a guard behind one undoes the batch when it changed nothing", async () => {
      await store.createRun({ workflowId: "w", runId: "ended", status: "COMPLETED" });
      const { statements } = store;
      const work = host.db.batch([
        host.db.insert(orders).values({ orderId: "guarded" }),
        statements.updateRun("ended", { progress: 1 }),
        statements.guard(),
      ]);
      await expect(work).rejects.toThrow();
      expect(await orderIds()).not.toContain("guarded");
      await host.db.batch([
        host.db.insert(orders).values({ orderId: "guarded" }),
        statements.updateRun("batch-absent", { progress: 1 }),
      ]);
      expect(await orderIds()).toContain("guarded");
    });

    test("refuse what the store would refuse, before anything is sent", () => {
      expect(() => store.statements.createRun({ workflowId: "" })).toThrow(InvalidArgumentError);
      expect(() => store.statements.saveState("r", "k", Number.NaN)).toThrow(/value/);
    });
  });

  describe("ctx.transaction", () => {
    const ship = (shipped: (orderId: string) => string | Promise<string>) =>
      defineWorkflow({ id: "ship" })
        .step(
          defineStep({
            id: "ship",
            input: z.object({ orderId: z.string() }),
            output: z.string(),
            run: ({ orderId }, ctx) =>
              ctx.transaction(async (tx) => {
                await tx.insert(orders).values({ orderId, runId: ctx.runId });
                return shipped(orderId);
              }),
          }),
        )
        .build();

    test("commits the app's rows, the output and the step together", async () => {
      const run = await makeEngine(store).run(
        ship((orderId) => `shipped ${orderId}`),
        { orderId: "c1" },
      );
      expect(run).toMatchObject({ status: "COMPLETED", output: "shipped c1" });
      expect(await orderIds()).toContain("c1");
    });

    test("passes the transaction of the given database, which must be the store's", async () => {
      const stepOn = (db: HostDatabase["db"]) =>
        defineStep({
          id: "ship",
          input: z.string(),
          output: z.number(),
          run: (orderId, ctx) =>
            ctx.transaction(db, async (tx) => {
              await tx.insert(orders).values({ orderId, runId: ctx.runId });
              return (await tx.select().from(orders).where(eq(orders.orderId, orderId))).length;
            }),
        });
      // The engine of the first run still works when the second one starts.
      const run = (db: HostDatabase["db"], orderId: string) =>
        makeEngine(store).run(defineWorkflow({ id: orderId }).step(stepOn(db)).build(), orderId);
      expect(await run(store.db, "typed")).toMatchObject({ status: "COMPLETED", output: 1 });
      const other = drizzle({ client: host.db.$client, schema: { orders } });
      expect(await run(other, "other")).toMatchObject({
        status: "FAILED",
        error: { code: "INVALID_ARGUMENT", message: expect.stringContaining("store.db") },
      });
      expect(await orderIds()).not.toContain("other");
    });

    test("a worker that has lost the run commits neither", async () => {
      const workflow = defineWorkflow({ id: "lost" })
        .step(
          defineStep({
            id: "ship",
            input: z.object({ orderId: z.string() }),
            output: z.string(),
            run: async ({ orderId }, ctx) => {
              // The engine writes the row of the step meanwhile; @libsql/client does not wait for its lock.
              await vi.waitUntil(
                async () => (await store.listStepExecutions(ctx.runId)).length > 0,
                { timeout: 10_000 },
              );
              await host.db
                .update(workflowRuns)
                .set({ workerId: "another", leaseExpiresAt: new Date(Date.now() + 60_000) })
                .where(eq(workflowRuns.runId, ctx.runId));
              return ctx.transaction(async (tx) => {
                await tx.insert(orders).values({ orderId, runId: ctx.runId });
                return orderId;
              });
            },
          }),
        )
        .build();
      const engine = makeEngine(store);
      engine.register(workflow);
      const left = new Promise((resolve) => engine.on("run.left", ({ reason }) => resolve(reason)));
      await engine.start(workflow, { orderId: "c0" });
      void engine.work();
      expect(await left).toBe("lost");
      expect(await orderIds()).not.toContain("c0");
      const { runs } = await store.listRuns({ workflowId: "lost" });
      expect(runs).toMatchObject([{ status: "RUNNING", workerId: "another" }]);
    });

    test("a step that fails in it leaves no row of the app", async () => {
      const run = await makeEngine(store).run(
        ship(() => {
          throw failure;
        }),
        { orderId: "c2" },
      );
      expect(run.status).toBe("FAILED");
      expect(await orderIds()).not.toContain("c2");
    });

    test("an output that does not fit leaves none either", async () => {
      const run = await makeEngine(store).run(
        ship(() => 1 as never),
        { orderId: "c3" },
      );
      expect(run.status).toBe("FAILED");
      expect(await orderIds()).not.toContain("c3");
    });
  });

  test("a run that a row of the app refers to stays, and what to do is said", async () => {
    const client = host.db.$client;
    await client.execute("create table letters (run_id text references workflow_runs (run_id))");
    await store.createRun({ workflowId: "letters", runId: "named", status: "COMPLETED" });
    await client.execute("insert into letters values ('named')");
    const refusal = {
      code: "CONSTRAINT",
      kind: "foreignKey",
      retryable: false,
      message: expect.stringMatching(/a foreign key .* `on delete cascade`/),
    };
    for (const work of [
      () => store.deleteRun("named"),
      () => host.db.transaction((tx) => store.withTransaction(tx).deleteRun("named")),
    ]) {
      await expect(work()).rejects.toMatchObject(refusal);
    }
    const olderThan = new Date(Date.now() + 1000);
    expect(await store.pruneRuns({ olderThan, workflowId: "letters" })).toMatchObject({
      deletedRuns: 0,
      refused: [{ runId: "named", error: refusal }],
    });
    await client.execute("delete from letters");
    expect(await store.deleteRun("named")).toBe(true);
  });

  test("transitions hold inside the app's transaction, too", async () => {
    await host.db.transaction(async (tx) => {
      const inside = store.withTransaction(tx);
      await inside.createRun({ workflowId: "w", runId: "done", status: "COMPLETED" });
      await inside.createStepExecution({ runId: "done", stepId: "s", status: "SKIPPED" });
      await expect(inside.updateRun("done", { status: "RUNNING" })).rejects.toBeInstanceOf(
        RunTransitionError,
      );
      await expect(
        inside.updateStepExecution("done", "s", { status: "RUNNING" }),
      ).rejects.toBeInstanceOf(StepTransitionError);
    });
  });
});
