import { describe, expect } from "vitest";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { expectRejection, givenRun, newRun, type StoreTest } from "./environment.ts";

const badIds: unknown[] = ["", "a\0b", "\ud800", "x".repeat(256), 1, null, undefined, {}];

export function describeArguments(test: StoreTest): void {
  describe("arguments", () => {
    test("that are ids have 1 to 255 well-formed characters without NUL", async ({ store }) => {
      const longest = "\u{1f600}".repeat(255);
      const { runId } = await givenRun(store, { runId: longest, workflowId: longest });
      await store.createStepExecution({ runId, stepId: longest });
      await store.saveState(runId, longest, 1);
      expect(await store.getAllState(runId)).toEqual({ [longest]: 1 });
      for (const bad of badIds as string[]) {
        const calls: [string, () => Promise<unknown>][] = [
          ["run.workflowId", () => store.createRun({ workflowId: bad })],
          ["runId", () => store.getRun(bad)],
          ["runId", () => store.updateRun(bad, {})],
          ["runId", () => store.reopenRun(bad)],
          ["runId", () => store.deleteRun(bad)],
          ["step.runId", () => store.createStepExecution({ runId: bad, stepId: "s" })],
          ["step.stepId", () => store.createStepExecution({ runId, stepId: bad })],
          ["stepId", () => store.getStepExecution(runId, bad)],
          ["stepId", () => store.updateStepExecution(runId, bad, {})],
          ["runId", () => store.listStepExecutions(bad)],
          [
            "attempt.runId",
            () => store.saveStepAttempt({ runId: bad, stepId: "s", attempt: 1, status: "FAILED" }),
          ],
          ["runId", () => store.listStepAttempts(bad)],
          ["stepId", () => store.saveStepOutput(runId, bad, 1)],
          ["stepId", () => store.loadStepOutput(runId, bad)],
          ["key", () => store.saveState(runId, bad, 1)],
          ["key", () => store.loadState(runId, bad)],
          ["key", () => store.loadStateEntry(runId, bad)],
          ["key", () => store.deleteState(runId, bad)],
          ["runId", () => store.getAllState(bad)],
          ["claim.workerId", () => store.claimRuns({ workerId: bad, leaseMs: 1, limit: 1 })],
          ["lease.runId", () => store.extendLease({ runId: bad, workerId: "w", leaseMs: 1 })],
          ["lease.workerId", () => store.releaseLease({ runId, workerId: bad })],
        ];
        for (const [argument, call] of calls) {
          await expectRejection(call(), "INVALID_ARGUMENT", { argument });
        }
      }
    });

    test("that are columns are checked by name", async ({ store }) => {
      const { runId } = await givenRun(store);
      const runs: [Record<string, unknown>, string][] = [
        [{ status: "DONE" }, "status"],
        [{ progress: 2 }, "progress"],
        [{ progress: -0.1 }, "progress"],
        [{ progress: Number.NaN }, "progress"],
        [{ tags: { a: 1 } }, "tags"],
        [{ tags: [] }, "tags"],
        [{ resourceId: "" }, "resourceId"],
        [{ attempt: -1 }, "attempt"],
        [{ attempt: 1.5 }, "attempt"],
        [{ startedAt: "now" }, "startedAt"],
        [{ wakeAt: 5 }, "wakeAt"],
        [{ deadlineAt: "tomorrow" }, "deadlineAt"],
        [{ timeoutMs: 0 }, "timeoutMs"],
        [{ completedAt: new Date(Number.NaN) }, "completedAt"],
        [{ unknown: 1 }, "unknown"],
      ];
      for (const [columns, field] of runs) {
        await expectRejection(store.createRun(newRun(columns)), "INVALID_ARGUMENT", {
          argument: `run.${field}`,
        });
        await expectRejection(store.updateRun(runId, columns), "INVALID_ARGUMENT", {
          argument: `changes.${field}`,
        });
      }
      for (const field of [
        "runId",
        "workflowId",
        "createdAt",
        "revision",
        "idempotencyKey",
        "workerId",
        "leaseExpiresAt",
      ]) {
        await expectRejection(store.updateRun(runId, { [field]: null }), "INVALID_ARGUMENT", {
          argument: `changes.${field}`,
        });
      }
      await store.createStepExecution({ runId, stepId: "s" });
      for (const [columns, field] of [
        [{ status: "DONE" }, "status"],
        [{ durationMs: -1 }, "durationMs"],
        [{ wakeAt: 5 }, "wakeAt"],
        [{ executionIndex: "1" }, "executionIndex"],
        [{ stepId: "other" }, "stepId"],
      ] as [Record<string, unknown>, string][]) {
        await expectRejection(store.updateStepExecution(runId, "s", columns), "INVALID_ARGUMENT", {
          argument: `changes.${field}`,
        });
      }
      expect(await store.getRun(runId)).toMatchObject({ revision: 1 });
    });

    test("that are undefined options are absent, and unknown ones are refused", async ({
      store,
    }) => {
      const { runId } = await givenRun(store);
      await store.updateRun(
        runId,
        { progress: undefined, status: undefined },
        { expectedRevision: undefined, workerId: undefined, signal: undefined },
      );
      await store.listRuns({ limit: undefined, cursor: undefined, status: undefined });
      await store.batch(() => undefined, { fence: undefined });
      const unknown = { retries: 1 } as object;
      const calls: (() => Promise<unknown>)[] = [
        () => store.getRun(runId, unknown),
        () => store.createRun(newRun(), unknown),
        () => store.updateRun(runId, {}, unknown),
        () => store.deleteRun(runId, unknown),
        () => store.countRuns(unknown),
        () => store.saveState(runId, "k", 1, unknown),
        () => store.loadState(runId, "k", unknown),
        () => store.batch(() => undefined, unknown),
        () => store.stats(unknown),
        () => store.readBundles(unknown),
        () => store.claimRuns({ ...unknown, workerId: "w", leaseMs: 1, limit: 1 }),
      ];
      for (const call of calls) await expectRejection(call(), "INVALID_ARGUMENT");
      await expectRejection(store.getRun(runId, 5 as unknown as object), "INVALID_ARGUMENT");
    });

    test("of claims and leases are positive integers", async ({ store }) => {
      for (const [claim, argument] of [
        [{ leaseMs: 0, limit: 1 }, "claim.leaseMs"],
        [{ leaseMs: 1.5, limit: 1 }, "claim.leaseMs"],
        [{ leaseMs: 1, limit: 0 }, "claim.limit"],
        [{ leaseMs: 1, limit: 1001 }, "claim.limit"],
        [
          { leaseMs: 1, limit: 1, workflows: [{ workflowId: "", workflowVersion: "1" }] },
          "claim.workflows[0].workflowId",
        ],
      ] as const) {
        await expectRejection(store.claimRuns({ workerId: "w", ...claim }), "INVALID_ARGUMENT", {
          argument,
        });
      }
    });

    test("never make a method throw: every one rejects", async ({ store }) => {
      const names = new Set<string>();
      for (let each: object = store; each !== Object.prototype; each = parentOf(each)) {
        for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
          if (get === undefined) names.add(name);
        }
      }
      const methods = [...names]
        .map((name) => [name, Reflect.get(store, name) as unknown] as const)
        .filter(([name, value]) => typeof value === "function" && isOperation(name));
      expect(methods.length).toBeGreaterThan(20);
      for (const [name, method] of methods) {
        const outcome: unknown = Reflect.apply(method as () => unknown, store, [null, null, null]);
        expect(outcome, name).toBeInstanceOf(Promise);
        await (outcome as Promise<unknown>).catch(() => undefined);
      }
    });

    test("that carry an aborted signal reject with its reason, and do nothing", async ({
      store,
    }) => {
      const reason = new Error("aborted by the caller");
      const signal = AbortSignal.abort(reason);
      const { runId } = await givenRun(store);
      const calls: (() => Promise<unknown>)[] = [
        () => store.createRun(newRun(), { signal }),
        () => store.getRun(runId, { signal }),
        () => store.updateRun(runId, { progress: 1 }, { signal }),
        () => store.deleteRun(runId, { signal }),
        () => store.listRuns({ signal }),
        () => store.countRuns({ signal }),
        () => store.createStepExecution({ runId, stepId: "s" }, { signal }),
        () => store.saveStepOutput(runId, "s", 1, { signal }),
        () => store.saveState(runId, "k", 1, { signal }),
        () => store.claimRuns({ workerId: "w", leaseMs: 1, limit: 1, signal }),
        () => store.batch((write) => write.deleteRun(runId), { signal }),
        () => store.readBundles({ signal }),
        () => store.pruneRuns({ olderThan: new Date(), signal }),
        () => store.stats({ signal }),
      ];
      for (const call of calls) await expect(call()).rejects.toBe(reason);
      expect(await store.getRun(runId)).toMatchObject({ revision: 1, status: "PENDING" });
      expect(await store.countRuns()).toMatchObject({ PENDING: 1 });
    });
  });

  describe("closing", () => {
    test("is idempotent, and ends every operation", async ({ store }) => {
      const { runId } = await givenRun(store);
      await store.close();
      await store.close();
      const calls: (() => Promise<unknown>)[] = [
        () => store.createRun(newRun()),
        () => store.getRun(runId),
        () => store.listRuns(),
        () => store.saveState(runId, "k", 1),
        () => store.batch((write) => write.deleteRun(runId)),
        () => store.claimRuns({ workerId: "w", leaseMs: 1, limit: 1 }),
        () => store.readBundles(),
        () => store.stats(),
      ];
      for (const call of calls) await expectRejection(call(), "STORE_CLOSED");
    });
  });
}

/** The methods of the contract: a store may have others of its own. */
const operations: readonly string[] = [
  "createRun",
  "getRun",
  "updateRun",
  "reopenRun",
  "listRuns",
  "countRuns",
  "deleteRun",
  "createStepExecution",
  "getStepExecution",
  "updateStepExecution",
  "listStepExecutions",
  "saveStepOutput",
  "loadStepOutput",
  "saveState",
  "loadState",
  "loadStateEntry",
  "deleteState",
  "getAllState",
  "claimRuns",
  "extendLease",
  "releaseLease",
  "batch",
  "transaction",
  "readBundles",
  "writeBundles",
  "pruneRuns",
  "stats",
] satisfies (keyof WorkflowStore)[];

function isOperation(name: string): boolean {
  return operations.includes(name);
}

function parentOf(value: object): object {
  return (Object.getPrototypeOf(value) as object | null) ?? Object.prototype;
}
