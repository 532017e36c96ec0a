import { expect } from "vitest";
import { operationNames } from "../../store/operations.ts";
import {
  rejects,
  givenRun,
  idsOf,
  newRun,
  type StoreTest,
  rejectsArgument,
} from "./environment.ts";

const badIds: unknown[] = ["", "a\0b", "\ud800", "x".repeat(256), 1, null, undefined, {}];

export function describeArguments(test: StoreTest): void {
  test("ids have 1 to 255 well-formed characters without NUL", async ({ store }) => {
    const longest = "\u{1f600}".repeat(255);
    const { runId } = await givenRun(store, { runId: longest, workflowId: longest });
    await store.createStepExecution({ runId, stepId: longest });
    await store.saveState(runId, longest, 1);
    expect(await store.getAllState(runId)).toEqual({ [longest]: 1 });
    for (const bad of badIds as string[]) {
      const calls: [string, () => Promise<unknown>][] = [
        ["run.workflowId", () => store.createRun({ workflowId: bad })],
        ["runId", () => store.getRun(bad)],
        ["runIds[0]", () => store.getRuns([bad])],
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
        await rejectsArgument(call(), argument);
      }
    }
  });

  test("arguments that the caller changes during a call keep their values", async ({ store }) => {
    const at = (index: number) => new Date(Date.UTC(2025, 0, 1 + index));
    for (let index = 0; index < 6; index++) {
      const times = { createdAt: at(index), updatedAt: at(index), completedAt: at(index) };
      await givenRun(store, { runId: `r${index}`, status: "FAILED", ...times });
    }
    const pending = await givenRun(store, { runId: "pending", createdAt: at(9) });
    const changing = async <T, Result>(argument: T, call: (argument: T) => Promise<Result>) => {
      const result = call(argument);
      changeDeeply(argument);
      return result;
    };
    const before = (index: number) => ({ status: ["FAILED" as const], createdBefore: at(index) });
    expect(await changing(before(3), (filter) => store.countRuns(filter))).toMatchObject({
      FAILED: 3,
    });
    const page = await changing(before(3), (query) => store.listRuns(query));
    expect(idsOf(page.runs)).toEqual(["r2", "r1", "r0"]);
    const oneByOne = { batchSize: 1 };
    const deleted = await changing(before(2), (filter) => store.deleteRuns(filter, oneByOne));
    expect(deleted.changedRuns).toBe(2);
    const statuses = ["FAILED" as const];
    const policy = { olderThan: at(4), statuses, ...oneByOne };
    const report = await changing(policy, (given) => store.pruneRuns(given));
    expect(report.deletedRuns).toBe(2);
    const { bundles } = await store.readBundles({ runIds: ["r4"] });
    await store.deleteRun("r4");
    await changing(bundles, (given) => store.writeBundles(given, { onConflict: "fail" }));
    expect(await store.getRun("r4")).toMatchObject({ status: "FAILED", createdAt: at(4) });
    const { workflowId, workflowVersion } = pending;
    const claim = { workerId: "w", leaseMs: 1000, limit: 1 };
    const workflows = [{ workflowId, workflowVersion }];
    const claimed = await changing({ ...claim, workflows }, (given) => store.claimRuns(given));
    expect(idsOf(claimed)).toEqual(["pending"]);
  });

  test("columns are checked by name", async ({ store }) => {
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
      await rejectsArgument(store.createRun(newRun(columns)), `run.${field}`);
      await rejectsArgument(store.updateRun(runId, columns), `changes.${field}`);
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
      await rejectsArgument(store.updateRun(runId, { [field]: null }), `changes.${field}`);
    }
    await store.createStepExecution({ runId, stepId: "s" });
    for (const [columns, field] of [
      [{ status: "DONE" }, "status"],
      [{ durationMs: -1 }, "durationMs"],
      [{ wakeAt: 5 }, "wakeAt"],
      [{ executionIndex: "1" }, "executionIndex"],
      [{ stepId: "other" }, "stepId"],
    ] as [Record<string, unknown>, string][]) {
      await rejectsArgument(store.updateStepExecution(runId, "s", columns), `changes.${field}`);
    }
    expect(await store.getRun(runId)).toMatchObject({ revision: 1 });
  });

  test("undefined options count as absent, and unknown ones are rejected", async ({ store }) => {
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
    for (const call of calls) await rejects(call(), "INVALID_ARGUMENT");
    await rejects(store.getRun(runId, 5 as unknown as object), "INVALID_ARGUMENT");
  });

  test("numbers of claims and leases are positive integers", async ({ store }) => {
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
      await rejectsArgument(store.claimRuns({ workerId: "w", ...claim }), argument);
    }
  });

  test("no method throws synchronously", async ({ store }) => {
    for (const name of operationNames) {
      const outcome: unknown = Reflect.apply(store[name], store, [null, null, null]);
      expect(outcome, name).toBeInstanceOf(Promise);
      await (outcome as Promise<unknown>).catch(() => undefined);
    }
  });

  test("a call with an aborted signal rejects and does nothing", async ({ store }) => {
    const reason = new Error("aborted by the caller");
    const signal = AbortSignal.abort(reason);
    const { runId } = await givenRun(store);
    const calls: (() => Promise<unknown>)[] = [
      () => store.createRun(newRun(), { signal }),
      () => store.getRun(runId, { signal }),
      () => store.getRuns([], { signal }),
      () => store.updateRun(runId, { progress: 1 }, { signal }),
      () => store.deleteRun(runId, { signal }),
      () => store.listRuns({ signal }),
      () => store.countRuns({ signal }),
      () => store.createStepExecution({ runId, stepId: "s" }, { signal }),
      () => store.saveStepOutput(runId, "s", 1, { signal }),
      () => store.saveState(runId, "k", 1, { signal }),
      () => store.claimRuns({ workerId: "w", leaseMs: 1, limit: 1, signal }),
      () => store.pauseWorkflow("orders", { signal }),
      () => store.resumeWorkflow("orders", { signal }),
      () => store.listPausedWorkflows({ signal }),
      () => store.batch((write) => write.deleteRun(runId), { signal }),
      () => store.readBundles({ signal }),
      () => store.cancelRuns({}, { signal }),
      () => store.deleteRuns({ status: "PENDING" }, { signal, dryRun: true }),
      () => store.pruneRuns({ olderThan: new Date(), signal }),
      () => store.stats({ signal }),
    ];
    for (const call of calls) await expect(call()).rejects.toBe(reason);
    expect(await store.getRun(runId)).toMatchObject({ revision: 1, status: "PENDING" });
    expect(await store.countRuns()).toMatchObject({ PENDING: 1 });
    expect(await store.listPausedWorkflows()).toEqual([]);
  });

  test("a store can be closed twice, and rejects later calls", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.close();
    await store.close();
    const calls: (() => Promise<unknown>)[] = [
      () => store.createRun(newRun()),
      () => store.getRun(runId),
      () => store.getRuns([]),
      () => store.listRuns(),
      () => store.saveState(runId, "k", 1),
      () => store.batch((write) => write.deleteRun(runId)),
      () => store.claimRuns({ workerId: "w", leaseMs: 1, limit: 1 }),
      () => store.pauseWorkflow("orders"),
      () => store.listPausedWorkflows(),
      () => store.readBundles(),
      () => store.stats(),
    ];
    for (const call of calls) await rejects(call(), "STORE_CLOSED");
  });
}

/** Changes the dates and texts in a value, as a caller does who uses an object again. */
function changeDeeply(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Date) value.setTime(0);
  for (const [name, part] of Object.entries(value)) {
    if (typeof part === "string") Reflect.set(value, name, "changed");
    else changeDeeply(part);
  }
}
