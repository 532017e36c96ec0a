import { expect } from "vitest";
import type { NewWorkflowRun } from "../../schema/rows.ts";
import {
  rejects,
  rejectsArgument,
  givenRun,
  newRun,
  summaryOf,
  type StoreTest,
  rowCounts,
} from "./environment.ts";

export function describeRuns(test: StoreTest): void {
  test("a new run has defaults", async ({ store, clock }) => {
    const run = await store.createRun({ workflowId: "orders" });
    expect(run).toEqual({
      runId: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ) as string,
      workflowId: "orders",
      workflowVersion: "1",
      status: "PENDING",
      progress: 0,
      input: null,
      output: null,
      error: null,
      context: null,
      tags: null,
      resourceId: null,
      idempotencyKey: null,
      workerId: null,
      claimedAt: null,
      leaseExpiresAt: null,
      wakeAt: null,
      deadlineAt: null,
      timeoutMs: null,
      attempt: 0,
      lostLeases: 0,
      revision: 1,
      stateRevision: 0,
      createdAt: clock.now(),
      startedAt: null,
      completedAt: null,
      updatedAt: clock.now(),
    });
    expect(await store.getRun(run.runId)).toEqual(run);
  });

  test("every insertable column is stored unchanged", async ({ store }) => {
    const run = {
      runId: "all",
      workflowId: "orders",
      workflowVersion: "2.1",
      status: "FAILED",
      progress: 0.25,
      input: { a: [1, "x", null, true] },
      output: "out",
      error: { message: "no" },
      context: { user: "u" },
      tags: { region: "eu" },
      resourceId: "customer-1",
      idempotencyKey: "key",
      workerId: "worker",
      claimedAt: new Date(4),
      leaseExpiresAt: new Date(5),
      wakeAt: new Date(6),
      deadlineAt: new Date(7),
      timeoutMs: 8,
      attempt: 3,
      lostLeases: 2,
      revision: 7,
      stateRevision: 5,
      createdAt: new Date(1),
      startedAt: new Date(2),
      completedAt: new Date(3),
      updatedAt: new Date(4),
    } as const;
    expect(await store.createRun(run)).toEqual(run);
    expect(await store.getRun("all")).toEqual(run);
  });

  test("an existing run id is rejected, and nothing is overwritten", async ({ store }) => {
    const run = await givenRun(store, { input: { first: true } });
    await rejects(
      store.createRun({ runId: run.runId, workflowId: "orders", input: { second: true } }),
      "RUN_ALREADY_EXISTS",
      { runId: run.runId },
    );
    expect(await store.getRun(run.runId)).toEqual(run);
  });

  test("a used idempotency key returns the existing run", async ({ store }) => {
    const run = await givenRun(store, { idempotencyKey: "order-1", input: 1 });
    expect(await store.createRun(newRun({ idempotencyKey: "order-1", input: 2 }))).toEqual(run);
    const other = await givenRun(store, { idempotencyKey: "order-1", workflowId: "refunds" });
    expect(other.runId).not.toBe(run.runId);
    expect(await store.countRuns()).toMatchObject({ PENDING: 2 });
  });

  test("workflow id and idempotency key are distinguished", async ({ store }) => {
    for (const separator of [":", "/", " ", "|", ",", "\u0001", '","', "."]) {
      const first = await givenRun(store, {
        workflowId: `a${separator}b`,
        idempotencyKey: "c",
      });
      const second = await givenRun(store, {
        workflowId: "a",
        idempotencyKey: `b${separator}c`,
      });
      expect(second.runId).not.toBe(first.runId);
    }
  });

  test("concurrent creations with one idempotency key create one run", async ({ store }) => {
    const runs = await Promise.all(
      Array.from({ length: 20 }, () => store.createRun(newRun({ idempotencyKey: "once" }))),
    );
    expect(new Set(runs.map((run) => run.runId)).size).toBe(1);
    expect(await store.countRuns()).toMatchObject({ PENDING: 1 });
  });

  test("a new run takes the idempotency key of a run at its revision", async ({ store, clock }) => {
    const { runId, revision } = await givenRun(store, { idempotencyKey: "k", status: "FAILED" });
    const take = (changes: Partial<NewWorkflowRun>, from: { runId: string; revision: number }) =>
      store.createRun(newRun({ idempotencyKey: "k", ...changes }), { takeKeyFrom: from });
    const { runId: other } = await givenRun(store, { idempotencyKey: "l" });
    // It is at another revision, is another run, or cannot lose its key, because the new run cannot be stored.
    expect(await take({}, { runId, revision: revision + 1 })).toMatchObject({ runId });
    expect(await take({}, { runId: other, revision })).toMatchObject({ runId });
    expect(await take({}, { runId: "unknown", revision })).toMatchObject({ runId });
    expect(await take({ runId: other }, { runId, revision })).toMatchObject({ runId });
    expect(await take({ workflowId: "refunds" }, { runId, revision })).not.toMatchObject({ runId });
    expect(await store.getRun(runId)).toMatchObject({ idempotencyKey: "k", revision });
    await store.saveState(runId, "kept", 1);
    clock.advance(1000);
    const taken = await take({ input: 2 }, { runId, revision });
    expect(taken).toMatchObject({ idempotencyKey: "k", input: 2, status: "PENDING", revision: 1 });
    expect(await store.getRun(taken.runId)).toEqual(taken);
    expect(await store.getRun(runId)).toMatchObject({
      idempotencyKey: null,
      status: "FAILED",
      revision: revision + 1,
      updatedAt: clock.now(),
    });
    expect(await store.getAllState(runId)).toEqual({ kept: 1 });
    expect(await take({}, { runId, revision })).toEqual(taken);
    await store.batch((write) => {
      const options = { takeKeyFrom: { runId: taken.runId, revision: 1 } };
      write.createRun(newRun({ runId: "third", idempotencyKey: "k" }), options);
    });
    expect(await take({}, { runId, revision })).toMatchObject({ runId: "third" });
    await rejectsArgument(
      store.createRun(newRun(), { takeKeyFrom: { runId, revision } }),
      "options.takeKeyFrom",
    );
  });

  test("of concurrent runs that take the same idempotency key, one is created", async ({
    store,
  }) => {
    const { runId, revision } = await givenRun(store, { idempotencyKey: "k" });
    const takeKeyFrom = { runId, revision };
    const runs = await Promise.all(
      Array.from({ length: 10 }, () =>
        store.createRun(newRun({ idempotencyKey: "k" }), { takeKeyFrom }),
      ),
    );
    const [taken] = runs;
    expect(taken?.runId).not.toBe(runId);
    expect(runs.every((run) => run.runId === taken?.runId)).toBe(true);
    expect(await store.countRuns()).toMatchObject({ PENDING: 2 });
  });

  test("a run is read without its payloads", async ({ store }) => {
    const run = await givenRun(store, { input: 1, context: 2, error: 3, tags: { a: "b" } });
    const summary = summaryOf(run);
    expect(await store.getRun(run.runId, { payloads: false })).toEqual(summary);
    expect(await store.getRun(run.runId, { payloads: true })).toEqual(run);
    expect(await store.getRun(run.runId, { payloads: undefined })).toEqual(run);
    const page = await store.listRuns();
    expect(page.runs).toEqual([summary]);
    await rejects(
      store.getRun(run.runId, { payloads: 0 } as unknown as { payloads: true }),
      "INVALID_ARGUMENT",
    );
  });

  test("a run is found, or null", async ({ store }) => {
    const run = await givenRun(store, { input: 1 });
    expect(await store.findRun(run.runId)).toEqual(run);
    expect(await store.findRun(run.runId, { payloads: false })).toEqual(
      await store.getRun(run.runId, { payloads: false }),
    );
    expect(await store.findRun("unknown")).toBeNull();
    expect(await store.findRun("unknown", { payloads: false })).toBeNull();
    await rejects(store.findRun(""), "INVALID_ARGUMENT");
  });

  test("runs are read by their ids, in the order of the ids", async ({ store, clock }) => {
    const runs = [];
    for (let index = 0; index < 4; index++) {
      clock.advance(1);
      runs.push(await givenRun(store, { input: { index }, tags: { index: String(index) } }));
    }
    const [first, second, third] = runs.map(({ runId }) => runId) as [string, string, string];
    const ids = [second, "unknown", third, first, second];
    const expected = [runs[1], runs[2], runs[0]];
    expect(await store.getRuns(ids)).toEqual(expected);
    expect(await store.getRuns(ids, { payloads: false })).toEqual(
      expected.map((run) => run && summaryOf(run)),
    );
    expect(await store.getRuns([])).toEqual([]);
    await rejectsArgument(store.getRuns([first, ""]), "runIds[1]");
    await rejectsArgument(store.getRuns(Array.from({ length: 1001 }, String)), "runIds");
  });

  test("runs that do not fit into one page are read by their ids", async ({ store }) => {
    const input = "x".repeat(1024 * 1024);
    const runs = [];
    for (let index = 0; index < 6; index++) runs.push(await givenRun(store, { input }));
    const ids = runs.map(({ runId }) => runId);
    expect((await store.getRuns(ids)).map(({ runId }) => runId)).toEqual(ids);
  });

  test("an unknown run is reported by its id", async ({ store }) => {
    await rejects(store.getRun("unknown"), "RUN_NOT_FOUND", { runId: "unknown" });
    await rejects(store.updateRun("unknown", { progress: 1 }), "RUN_NOT_FOUND");
    await rejects(store.reopenRun("unknown"), "RUN_NOT_FOUND");
    expect(await store.deleteRun("unknown")).toBe(false);
  });

  test("an update keeps all columns that it does not name", async ({ store, clock }) => {
    const run = await givenRun(store, {
      input: { a: 1 },
      output: { b: 2 },
      error: { c: 3 },
      context: { d: 4 },
      tags: { e: "5" },
      resourceId: "r",
      idempotencyKey: "k",
    });
    clock.advance(1000);
    const updated = await store.updateRun(run.runId, { progress: 0.5, output: undefined });
    const summary = summaryOf(run);
    expect(updated).toEqual({ ...summary, progress: 0.5, revision: 2, updatedAt: clock.now() });
    expect(await store.getRun(run.runId)).toEqual({
      ...run,
      progress: 0.5,
      revision: 2,
      updatedAt: clock.now(),
    });
  });

  test("an update sets null if null is given", async ({ store }) => {
    const { runId } = await givenRun(store, { input: 1, error: 2, tags: { a: "b" } });
    await store.updateRun(runId, { input: null, error: null, tags: null });
    expect(await store.getRun(runId)).toMatchObject({ input: null, error: null, tags: null });
  });

  test("the first RUNNING and a final status set their times", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    clock.advance(10);
    const startedAt = clock.now();
    expect(await store.updateRun(runId, { status: "RUNNING" })).toMatchObject({ startedAt });
    clock.advance(10);
    await store.updateRun(runId, { status: "PENDING" });
    expect(await store.updateRun(runId, { status: "RUNNING" })).toMatchObject({ startedAt });
    clock.advance(10);
    expect(await store.updateRun(runId, { status: "COMPLETED" })).toMatchObject({
      startedAt,
      completedAt: clock.now(),
    });
  });

  test("a final status clears `wakeAt`, and others keep it", async ({ store }) => {
    const wakeAt = new Date(5);
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
      const { runId } = await givenRun(store, { wakeAt });
      expect(await store.updateRun(runId, { status: "RUNNING" })).toMatchObject({ wakeAt });
      expect(await store.updateRun(runId, { status })).toMatchObject({ status, wakeAt: null });
      expect(await store.getRun(runId)).toMatchObject({ status, wakeAt: null });
    }
    const { runId } = await givenRun(store, { wakeAt });
    await store.batch((write) => write.updateRun(runId, { status: "CANCELLED" }));
    expect(await store.getRun(runId)).toMatchObject({ wakeAt: null });
  });

  test("an update accepts times", async ({ store }) => {
    const { runId } = await givenRun(store);
    expect(
      await store.updateRun(runId, { status: "RUNNING", startedAt: new Date(77) }),
    ).toMatchObject({ startedAt: new Date(77) });
    expect(
      await store.updateRun(runId, { status: "FAILED", completedAt: new Date(99) }),
    ).toMatchObject({ completedAt: new Date(99) });
  });

  test("a finished run cannot change", async ({ store }) => {
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
      const { runId } = await givenRun(store);
      await store.updateRun(runId, { status });
      const before = await store.getRun(runId);
      await rejects(store.updateRun(runId, { status: "RUNNING" }), "RUN_TRANSITION", {
        runId,
        from: status,
        to: "RUNNING",
      });
      await rejects(store.updateRun(runId, { progress: 1 }), "RUN_TRANSITION", {
        from: status,
        to: null,
      });
      expect(await store.getRun(runId)).toEqual(before);
    }
  });

  test("a late completion does not overwrite a cancellation", async ({ store }) => {
    const { runId } = await givenRun(store);
    const outcomes = await Promise.allSettled([
      store.updateRun(runId, { status: "CANCELLED" }),
      store.updateRun(runId, { status: "COMPLETED", output: 1 }),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected"]);
    expect(await store.getRun(runId)).toMatchObject({ status: "CANCELLED", output: null });
  });

  test("an update compares the revision, and increments it", async ({ store }) => {
    const { runId } = await givenRun(store);
    expect(await store.updateRun(runId, { progress: 0.1 }, { expectedRevision: 1 })).toMatchObject({
      revision: 2,
    });
    await rejects(
      store.updateRun(runId, { progress: 0.9 }, { expectedRevision: 1 }),
      "REVISION_CONFLICT",
      { runId, expectedRevision: 1, actualRevision: 2 },
    );
    expect(await store.getRun(runId)).toMatchObject({ progress: 0.1, revision: 2 });
  });

  test("one of many concurrent updates of one revision succeeds", async ({ store }) => {
    const { runId } = await givenRun(store);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        store.updateRun(runId, { progress: index / 10 }, { expectedRevision: 1 }),
      ),
    );
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
    expect(await store.getRun(runId)).toMatchObject({ revision: 2 });
  });

  test("causes have an order: missing, lease, revision, transition", async ({ store }) => {
    const demands = { expectedRevision: 99, workerId: "stranger" };
    await rejects(store.updateRun("unknown", { progress: 1 }, demands), "RUN_NOT_FOUND");
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await rejects(store.updateRun(runId, { progress: 1 }, demands), "LEASE_LOST", {
      runId,
      workerId: "stranger",
    });
    await rejects(
      store.updateRun(runId, { progress: 1 }, { ...demands, workerId: "holder" }),
      "REVISION_CONFLICT",
    );
    await store.updateRun(runId, { status: "COMPLETED" });
    await rejects(
      store.updateRun(runId, { progress: 1 }, { expectedRevision: 99, workerId: "holder" }),
      "LEASE_LOST",
    );
    await rejects(
      store.updateRun(runId, { progress: 1 }, { expectedRevision: 99 }),
      "REVISION_CONFLICT",
    );
    await rejects(
      store.updateRun(runId, { progress: 1 }, { expectedRevision: 2 }),
      "RUN_TRANSITION",
    );
  });

  test("only FAILED and CANCELLED runs are reopened", async ({ store, clock }) => {
    const run = await givenRun(store, {
      input: 1,
      workerId: "w",
      startedAt: new Date(5),
      wakeAt: new Date(6),
      deadlineAt: new Date(7),
    });
    await rejects(store.reopenRun(run.runId), "RUN_TRANSITION", { from: "PENDING" });
    await store.updateRun(run.runId, { status: "FAILED", error: { message: "no" } });
    clock.advance(10);
    const summary = summaryOf(run);
    expect(await store.reopenRun(run.runId)).toEqual({
      ...summary,
      workerId: null,
      wakeAt: null,
      deadlineAt: null,
      revision: 3,
      updatedAt: clock.now(),
    });
    await store.updateRun(run.runId, { status: "COMPLETED" });
    await rejects(store.reopenRun(run.runId), "RUN_TRANSITION", { from: "COMPLETED" });
  });

  test("a reopened run cancels its steps that have not ended, and their running attempts", async ({
    store,
    clock,
  }) => {
    const startedAt = clock.now();
    const runIds: string[] = [];
    for (const status of ["FAILED", "CANCELLED", "COMPLETED"] as const) {
      const { runId } = await givenRun(store);
      runIds.push(runId);
      for (const [stepId, stepStatus, attempt] of [
        ["completed", "COMPLETED", 2],
        ["failed", "FAILED", 2],
        ["pending", "PENDING", 0],
        ["retrying", "RETRYING", 1],
        ["running", "RUNNING", 1],
        ["running again", "RUNNING", 3],
      ] as const) {
        const wakeAt = new Date(7);
        const step = { runId, stepId, status: stepStatus, attempt, startedAt, wakeAt };
        await store.createStepExecution(step);
      }
      await store.updateRun(runId, { status });
    }
    const other = await givenRun(store, { status: "RUNNING" });
    await store.createStepExecution({ runId: other.runId, stepId: "running", status: "RUNNING" });
    clock.advance(10);
    const now = clock.now();
    const before = await store.readBundles();
    const [failed = "", cancelled = "", completed = ""] = runIds;
    await rejects(store.reopenRun(failed, { expectedRevision: 1 }), "REVISION_CONFLICT");
    await rejects(store.reopenRun(completed), "RUN_TRANSITION");
    await rejects(store.reopenRun(failed, { fromStep: "never" }), "STEP_EXECUTION_NOT_FOUND");
    expect(await store.readBundles()).toEqual(before);

    const end = { status: "CANCELLED", wakeAt: null, completedAt: now, updatedAt: now } as const;
    const ran = { ...end, startedAt, durationMs: 10 };
    const steps = [
      { stepId: "completed", status: "COMPLETED", attempt: 2, completedAt: null },
      { stepId: "failed", status: "FAILED", attempt: 2, completedAt: null },
      { stepId: "pending", attempt: 0, ...ran },
      { stepId: "retrying", attempt: 1, ...ran },
      { stepId: "running", attempt: 1, ...ran },
      { stepId: "running again", attempt: 3, ...ran },
    ];
    const attempt = { status: "CANCELLED", error: null, workerId: null, completedAt: now };
    const attempts = [
      { stepId: "running", attempt: 1, startedAt, ...attempt },
      { stepId: "running again", attempt: 3, startedAt: null, ...attempt },
    ];
    await store.reopenRun(failed);
    await store.reopenRuns({ status: "CANCELLED" });
    for (const runId of [failed, cancelled]) {
      expect(await store.listStepExecutions(runId)).toMatchObject(steps);
      expect(await store.listStepAttempts(runId)).toMatchObject(attempts);
    }
    await store.reopenRun(completed, { fromStep: "running again" });
    expect(await store.listStepExecutions(completed)).toMatchObject([
      ...steps.slice(0, 5),
      { stepId: "running again", status: "PENDING", attempt: 0 },
    ]);
    expect(await store.listStepAttempts(completed)).toMatchObject(attempts.slice(0, 1));
    expect(await store.listStepExecutions(other.runId)).toMatchObject([{ status: "RUNNING" }]);
  });

  test("a reopened run gets its time limit again", async ({ store, clock }) => {
    const { runId } = await givenRun(store, { deadlineAt: new Date(7), timeoutMs: 5000 });
    for (let time = 0; time < 2; time++) {
      await store.updateRun(runId, { status: "FAILED" });
      clock.advance(60_000);
      const limits = { deadlineAt: new Date(clock.now().getTime() + 5000), timeoutMs: 5000 };
      expect(await store.reopenRun(runId)).toMatchObject(limits);
      expect(await store.getRun(runId)).toMatchObject(limits);
    }
  });

  test("a run is reopened from a step as if it were new, without the steps after it", async ({
    store,
    clock,
  }) => {
    const { runId } = await givenRun(store, { input: 1, timeoutMs: 5000 });
    // In the order of the list: a, b and c, d.
    for (const [stepId, executionIndex] of [
      ["d", 2],
      ["c", 1],
      ["a", 0],
      ["b", 1],
    ] as const) {
      const inputFrom = stepId === "a" ? null : "a";
      const step = { runId, stepId, executionIndex, inputFrom, attempt: 2 } as const;
      await store.createStepExecution({ ...step, status: "COMPLETED" });
      await store.saveStepAttempt({ runId, stepId, attempt: 1, status: "FAILED" });
      await store.saveStepOutput(runId, stepId, `output of ${stepId}`);
    }
    await store.saveStepOutput(runId, "without a step", 1);
    await store.saveState(runId, "k", 1);
    const other = await givenRun(store, { status: "FAILED" });
    await store.createStepExecution({ runId: other.runId, stepId: "c", executionIndex: 5 });
    await rejects(store.reopenRun(runId, { fromStep: "c" }), "RUN_TRANSITION", { from: "PENDING" });
    await store.updateRun(runId, { status: "COMPLETED", output: "all", progress: 1 });
    const before = await store.readBundles();

    await rejects(store.reopenRun("unknown", { fromStep: "c" }), "RUN_NOT_FOUND");
    await rejects(store.reopenRun(runId, { fromStep: "never" }), "STEP_EXECUTION_NOT_FOUND");
    await rejects(
      store.reopenRun(runId, { fromStep: "c", expectedRevision: 1 }),
      "REVISION_CONFLICT",
    );
    await rejectsArgument(store.reopenRun(runId, { fromStep: "" }), "options.fromStep");
    expect(await store.readBundles()).toEqual(before);

    clock.advance(10);
    const reopened = await store.reopenRun(runId, { fromStep: "c", expectedRevision: 2 });
    expect(reopened).toMatchObject({
      status: "PENDING",
      progress: 0.5,
      error: null,
      completedAt: null,
      revision: 3,
      deadlineAt: new Date(clock.now().getTime() + 5000),
      updatedAt: clock.now(),
    });
    const run = await store.getRun(runId);
    expect(run).toEqual({ ...reopened, input: 1, output: null, context: null });
    const kept = [{ stepId: "a" }, { stepId: "b", input: "output of a" }];
    const restarted = {
      stepId: "c",
      executionIndex: 1,
      status: "PENDING",
      attempt: 0,
      input: null,
    };
    expect(await store.listStepExecutions(runId)).toMatchObject([...kept, restarted]);
    const { runId: fresh } = await givenRun(store);
    const step = await store.createStepExecution({ runId: fresh, stepId: "c", executionIndex: 1 });
    expect(await store.getStepExecution(runId, "c")).toEqual({ ...step, runId });
    expect(await store.listStepAttempts(runId)).toMatchObject([{ stepId: "a" }, { stepId: "b" }]);
    for (const stepId of ["c", "d"]) {
      expect(await store.findStepOutput(runId, stepId)).toBeNull();
    }
    expect(await store.loadStepOutput(runId, "b")).toBe("output of b");
    expect(await store.loadStepOutput(runId, "without a step")).toBe(1);
    expect(await store.getAllState(runId)).toEqual({ k: 1 });
    expect(await store.listStepExecutions(other.runId)).toHaveLength(1);

    await store.updateRun(runId, { status: "CANCELLED" });
    await store.reopenRun(runId, { fromStep: "a" });
    expect(await store.listStepExecutions(runId)).toMatchObject([{ stepId: "a", attempt: 0 }]);
    expect((await store.getRun(runId)).progress).toBe(0);
  });

  test("every status is counted, with the filters of lists", async ({ store }) => {
    expect(await store.countRuns()).toEqual({
      PENDING: 0,
      RUNNING: 0,
      COMPLETED: 0,
      FAILED: 0,
      CANCELLED: 0,
    });
    await givenRun(store, { tags: { a: "1" } });
    await givenRun(store, { status: "FAILED", tags: { a: "1", b: "2" } });
    await givenRun(store, { status: "FAILED", workflowId: "refunds" });
    expect(await store.countRuns()).toMatchObject({ PENDING: 1, FAILED: 2 });
    expect(await store.countRuns({ workflowId: "orders" })).toMatchObject({ FAILED: 1 });
    expect(await store.countRuns({ tags: { a: "1" }, status: "FAILED" })).toMatchObject({
      PENDING: 0,
      FAILED: 1,
    });
  });

  test("a deleted run is deleted with all its rows", async ({ store }) => {
    const { runId } = await givenRun(store, { idempotencyKey: "again" });
    await store.createStepExecution({ runId, stepId: "a" });
    await store.saveStepAttempt({ runId, stepId: "a", attempt: 1, status: "FAILED" });
    await store.saveStepOutput(runId, "a", 1);
    await store.saveState(runId, "k", 1);
    expect(await store.deleteRun(runId)).toBe(true);
    await rejects(store.getRun(runId), "RUN_NOT_FOUND");
    expect(await store.listStepExecutions(runId)).toEqual([]);
    expect(await store.listStepAttempts(runId)).toEqual([]);
    await rejects(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND");
    expect(await store.getAllState(runId)).toEqual({});
    const { rows } = await store.stats();
    expect(rows).toEqual(rowCounts(0));
    const again = await givenRun(store, { runId, idempotencyKey: "again" });
    expect(again.runId).toBe(runId);
    expect(await store.listStepExecutions(runId)).toEqual([]);
    await rejects(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND");
  });
}
