import { createClient, LibsqlError } from "@libsql/client/web";
import { drizzle } from "drizzle-orm/libsql/web";
import { expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { test } from "../support/fixtures.ts";
import { startSqld } from "../support/sqld.ts";

interface Operation {
  readonly prepare: (direct: WorkflowStore) => Promise<unknown>;
  readonly call: (store: WorkflowStore, direct: WorkflowStore) => Promise<unknown>;
  readonly isDone: (direct: WorkflowStore) => Promise<boolean>;
  /** The number of the request that fails. Defaults to 2. */
  readonly failsAt?: number;
}

const runId = "run";
const run = { runId, workflowId: "w" };
const step = { runId, stepId: "b", inputFrom: "a" };

/** Operations that need another request after one that writes. */
const operations: Record<string, Operation> = {
  createStepExecution: {
    prepare: (direct) => direct.createRun(run),
    call: (store) => store.createStepExecution(step),
    isDone: async (direct) => (await direct.findStepExecution(runId, "b")) !== null,
  },
  updateStepExecution: {
    prepare: (direct) =>
      direct.batch((write) => {
        write.createRun(run);
        write.createStepExecution(step);
      }),
    call: (store) => store.updateStepExecution(runId, "b", { status: "RUNNING" }),
    isDone: async (direct) => (await direct.getStepExecution(runId, "b")).status === "RUNNING",
  },
  "claimRuns with large tags": {
    prepare: (direct) => direct.createRun({ ...run, tags: { large: "x".repeat(2000) } }),
    call: (store) => store.claimRuns({ workerId: "worker", leaseMs: 60_000, limit: 1 }),
    isDone: async (direct) => (await direct.getRun(runId)).status === "RUNNING",
  },
  "writeBundles of many rows": {
    prepare: (direct) => direct.createRun(run),
    async call(store, direct) {
      const [bundle] = (await direct.readBundles()).bundles;
      if (bundle === undefined) throw new Error("the run exists");
      const copies = Array.from({ length: 300 }, (_, index) => ({
        ...bundle,
        run: { ...bundle.run, runId: `${runId}-${index}` },
      }));
      return store.writeBundles(copies, { onConflict: "fail" });
    },
    isDone: async (direct) => (await direct.findRun(`${runId}-0`)) !== null,
  },
  "pruneRuns of several batches": {
    prepare: (direct) =>
      direct.batch((write) => {
        write.createRun({ ...run, status: "COMPLETED" });
        write.createRun({ ...run, runId: "other", status: "COMPLETED" });
      }),
    call: (store) => store.pruneRuns({ olderThan: new Date(Date.now() + 60_000), batchSize: 1 }),
    isDone: async (direct) => (await direct.listRuns()).runs.length === 1,
    // After the first batch.
    failsAt: 5,
  },
};

test.for(Object.keys(operations))(
  "%s reports an unknown outcome if a request after its write fails",
  async (name, { onTestFinished }) => {
    const { prepare, call, isDone, failsAt = 2 } = operations[name] as Operation;
    const server = await startSqld();
    onTestFinished(() => server.stop());
    const direct = await LibSQLStore.open(server.httpUrl);
    onTestFinished(() => direct.close());
    await prepare(direct);
    const client = createClient({ url: server.httpUrl });
    onTestFinished(() => client.close());
    const store = new LibSQLStore(drizzle(client));
    await store.countRuns();
    let requests = 0;
    for (const method of ["execute", "batch"] as const) {
      const send = client[method].bind(client) as (...args: unknown[]) => Promise<never>;
      client[method] = async (...args: unknown[]) => {
        requests += 1;
        if (requests === failsAt)
          throw new LibsqlError("a limit of the plan is reached", "BLOCKED");
        return send(...args);
      };
    }
    const error = await call(store, direct).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "STORE_CONNECTION", outcome: "unknown" });
    expect(await isDone(direct)).toBe(true);
  },
);
