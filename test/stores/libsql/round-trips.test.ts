import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { startProxy, type LoopbackProxy } from "../../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

describe.each(["httpUrl", "webSocketUrl"] as const)(
  "with 20 ms to a server, over %s",
  (protocol) => {
    let proxy: LoopbackProxy;
    let store: LibSQLStore;
    beforeEach(async () => {
      proxy = await startProxy(server.port);
      store = await LibSQLStore.open(proxy[protocol]);
      proxy.latencyMs = 20;
    });
    afterEach(async () => {
      await store.close();
      await proxy.close();
    });

    async function roundTripsOf(operation: () => Promise<unknown>): Promise<number> {
      // The answer to what came before, the end of a stream for one, is not counted.
      await store.countRuns();
      await new Promise((resolve) => setTimeout(resolve, 60));
      proxy.roundTrips = 0;
      await operation();
      return proxy.roundTrips;
    }

    test("100 runs that are created at once take at most 3 round trips", async () => {
      const trips = await roundTripsOf(() =>
        Promise.all(Array.from({ length: 100 }, () => store.createRun({ workflowId: "w" }))),
      );
      expect(trips).toBeGreaterThan(0);
      expect(trips).toBeLessThanOrEqual(3);
    });

    test("each operation, a batch and the transition of a step take one", async () => {
      const { runId } = await store.createRun({ workflowId: "w" });
      await store.createStepExecution({ runId, stepId: "a", executionIndex: 0, status: "RUNNING" });
      const workerId = "worker";
      await store.claimRuns({ workerId, leaseMs: 60_000, limit: 1000 });
      const operations: Record<string, () => Promise<unknown>> = {
        create: () => store.createRun({ workflowId: "w", idempotencyKey: "key" }),
        get: () => store.getRun(runId),
        list: () => store.listRuns(),
        update: () => store.updateRun(runId, { progress: 0.5 }),
        state: () => store.saveState(runId, "k", 1),
        extend: () => store.extendLease({ runId, workerId, leaseMs: 60_000 }),
        claim: () => store.claimRuns({ workerId, leaseMs: 60_000, limit: 1 }),
        transition: () =>
          store.batch(
            (write) => {
              write.updateStepExecution(runId, "a", { status: "COMPLETED" });
              write.saveStepOutput(runId, "a", { sum: 1 });
              write.createStepExecution({
                runId,
                stepId: "b",
                executionIndex: 1,
                status: "RUNNING",
              });
            },
            { fence: { runId, workerId } },
          ),
      };
      const trips: Record<string, number> = {};
      for (const [name, operation] of Object.entries(operations)) {
        trips[name] = await roundTripsOf(operation);
      }
      expect(trips).toEqual(Object.fromEntries(Object.keys(operations).map((name) => [name, 1])));
    });
  },
);
