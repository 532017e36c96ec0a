import { expect } from "vitest";
import type { BatchWriter } from "../../store/batches.ts";
import { rejects, givenRun, type StoreTest, rejectsArgument, rejectsValue } from "./environment.ts";

export function describeBatches(test: StoreTest): void {
  test("a batch has all kinds of writes, and each sees earlier ones", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "gone", 1);
    const { runId: deleted } = await givenRun(store);
    await store.batch((write) => {
      write.createRun({ runId: "new", workflowId: "orders" });
      write.createStepExecution({ runId: "new", stepId: "a" });
      write.updateStepExecution("new", "a", { status: "RUNNING" });
      write.saveStepAttempt({ runId: "new", stepId: "a", attempt: 1, status: "FAILED" });
      write.saveStepOutput("new", "a", { sum: 1 });
      write.saveState("new", "k", 1);
      write.saveState("new", "k", 2, { expectedRevision: 1 });
      write.updateRun("new", { progress: 0.5 }, { expectedRevision: 1 });
      write.deleteState(runId, "gone");
      write.deleteRun(deleted);
    });
    expect(await store.getRun("new")).toMatchObject({ progress: 0.5, revision: 2 });
    expect(await store.listStepExecutions("new")).toMatchObject([{ status: "RUNNING" }]);
    expect(await store.listStepAttempts("new")).toMatchObject([{ stepId: "a", attempt: 1 }]);
    expect(await store.loadStepOutput("new", "a")).toEqual({ sum: 1 });
    expect(await store.loadStateEntry("new", "k")).toMatchObject({ value: 2, revision: 2 });
    expect(await store.getAllState(runId)).toEqual({});
    await rejects(store.getRun(deleted), "RUN_NOT_FOUND");
  });

  test("one failed precondition undoes a batch, and is its error", async ({ store }) => {
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await givenRun(store, { runId: "finished", status: "COMPLETED" });
    await store.createStepExecution({ runId, stepId: "done", status: "COMPLETED" });
    await store.saveState(runId, "k", 0);
    const failing: [string, (write: BatchWriter) => void, Record<string, unknown>?][] = [
      ["RUN_ALREADY_EXISTS", (write) => write.createRun({ runId, workflowId: "orders" })],
      ["RUN_NOT_FOUND", (write) => write.updateRun("unknown", { progress: 1 })],
      ["RUN_NOT_FOUND", (write) => write.createStepExecution({ runId: "unknown", stepId: "a" })],
      [
        "RUN_NOT_FOUND",
        (write) =>
          write.saveStepAttempt({ runId: "unknown", stepId: "a", attempt: 1, status: "FAILED" }),
      ],
      ["RUN_NOT_FOUND", (write) => write.saveStepOutput("unknown", "a", 1)],
      ["RUN_NOT_FOUND", (write) => write.saveState("unknown", "k", 1)],
      ["RUN_NOT_FOUND", (write) => write.deleteState("unknown", "k", { workerId: "w" })],
      ["LEASE_LOST", (write) => write.updateRun(runId, { progress: 1 }, { workerId: "other" })],
      [
        "LEASE_LOST",
        (write) =>
          write.saveStepAttempt(
            { runId, stepId: "a", attempt: 1, status: "FAILED" },
            { workerId: "other" },
          ),
      ],
      ["LEASE_LOST", (write) => write.saveStepOutput(runId, "a", 1, { workerId: "other" })],
      ["LEASE_LOST", (write) => write.saveState(runId, "k", 1, { workerId: "other" })],
      ["LEASE_LOST", (write) => write.deleteState(runId, "k", { workerId: "other" })],
      [
        "REVISION_CONFLICT",
        (write) => write.updateRun(runId, { progress: 1 }, { expectedRevision: 1 }),
        // An earlier update of the same batch has incremented the revision.
        { expectedRevision: 1, actualRevision: 2 },
      ],
      [
        "REVISION_CONFLICT",
        (write) => write.saveState(runId, "k", 1, { expectedRevision: 0 }),
        { actualRevision: 2 },
      ],
      [
        "RUN_TRANSITION",
        (write) => write.updateRun("finished", { status: "FAILED" }),
        { from: "COMPLETED", to: "FAILED" },
      ],
      [
        "STEP_EXECUTION_ALREADY_EXISTS",
        (write) => write.createStepExecution({ runId, stepId: "s" }),
      ],
      [
        "STEP_EXECUTION_NOT_FOUND",
        (write) => write.updateStepExecution(runId, "no", { attempt: 1 }),
      ],
      ["STEP_TRANSITION", (write) => write.updateStepExecution(runId, "done", { attempt: 1 })],
    ];
    const before = await store.readBundles();
    for (const [code, fail, properties] of failing) {
      await rejects(
        store.batch((write) => {
          write.createRun({ runId: "undone", workflowId: "orders" });
          write.updateRun(runId, { progress: 0.7 });
          write.createStepExecution({ runId, stepId: "s" });
          write.saveStepOutput(runId, "s", 1);
          write.saveState(runId, "k", 1);
          fail(write);
          write.saveState(runId, "late", 1);
        }),
        code,
        properties,
      );
      expect(await store.readBundles(), code).toEqual(before);
    }
  });

  test("the runs of a batch have their expected revisions", async ({ store }) => {
    const { runId } = await givenRun(store);
    const { runId: other } = await givenRun(store);
    const expectedRevisions = [
      { runId, revision: 1 },
      { runId: other, revision: 1 },
    ];
    await store.updateRun(other, { progress: 0.5 });
    const save = () =>
      store.batch((write) => write.saveState(runId, "k", 1), { expectedRevisions });
    await rejects(save(), "REVISION_CONFLICT", {
      runId: other,
      expectedRevision: 1,
      actualRevision: 2,
    });
    expect(await store.getAllState(runId)).toEqual({});
    expectedRevisions[1] = { runId: other, revision: 2 };
    await save();
    expect(await store.getAllState(runId)).toEqual({ k: 1 });
    // The revisions are those before the batch.
    await store.batch((write) => write.updateRun(runId, { progress: 1 }), { expectedRevisions });
    await rejects(save(), "REVISION_CONFLICT", { runId });
    await store.deleteRun(other);
    expectedRevisions.shift();
    await rejects(save(), "RUN_NOT_FOUND", { runId: other });
    const duplicate = [1, 2].map((revision) => ({ runId, revision }));
    const nothing = store.batch(() => {}, { expectedRevisions: duplicate });
    await rejects(nothing, "REVISION_CONFLICT", { runId, actualRevision: 2 });
    await rejectsArgument(
      store.batch(() => {}, { expectedRevisions: [{ runId, revision: -1 }] }),
      "options.expectedRevisions[0].revision",
    );
  });

  test("the fence of a batch is checked first", async ({ store }) => {
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    const fence = { runId, workerId: "stranger" };
    await rejects(
      store.batch((write) => write.updateRun("unknown", { progress: 1 }), { fence }),
      "LEASE_LOST",
      fence,
    );
    await rejects(
      store.batch((write) => write.saveState(runId, "k", 1), {
        fence: { runId: "unknown", workerId: "holder" },
      }),
      "RUN_NOT_FOUND",
    );
    await rejects(
      store.batch(() => {}, {
        fence: { runId, workerId: "holder" },
        expectedRevisions: [
          { runId: "unknown", revision: 1 },
          { runId, revision: 7 },
        ],
      }),
      "RUN_NOT_FOUND",
    );
    await store.batch((write) => write.saveState(runId, "k", 1), {
      fence: { runId, workerId: "holder" },
    });
    expect(await store.getAllState(runId)).toEqual({ k: 1 });
  });

  test("a batch accepts a run that exists with its idempotency key", async ({ store }) => {
    const { runId } = await givenRun(store, { idempotencyKey: "k" });
    await store.batch((write) => {
      write.createRun({ runId: "second", workflowId: "orders", idempotencyKey: "k" });
      write.saveState(runId, "seen", true);
    });
    expect(await store.getAllState(runId)).toEqual({ seen: true });
    await rejects(store.getRun("second"), "RUN_NOT_FOUND");
  });

  test("a batch checks all arguments and values before it writes", async ({ store }) => {
    const { runId } = await givenRun(store);
    await rejectsValue(
      store.batch((write) => {
        write.saveState(runId, "k", 1);
        write.saveState(runId, "bad", { at: [Number.NaN] });
      }),
      "value.at[0]",
    );
    await rejectsArgument(
      store.batch((write) => {
        write.saveState(runId, "k", 1);
        write.updateRun(runId, { progress: 2 });
      }),
      "changes.progress",
    );
    expect(await store.getAllState(runId)).toEqual({});
  });

  test("a batch may be empty, but not asynchronous", async ({ store }) => {
    await store.batch(() => undefined);
    const { runId } = await givenRun(store);
    await rejectsArgument(
      store.batch((write) => {
        write.saveState(runId, "k", 1);
        return Promise.resolve() as unknown as undefined;
      }),
      "collect",
    );
    const failure = new Error("mine");
    await expect(
      store.batch(() => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await store.getAllState(runId)).toEqual({});
  });

  test("concurrent batches are isolated", async ({ store }) => {
    const { runId } = await givenRun(store);
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store
          .batch((write) => {
            write.saveState(runId, "a", index);
            write.saveState(runId, "b", index);
            if (index % 2 === 1) write.updateRun("unknown", { progress: 1 });
          })
          .catch((error: unknown) => expect(error).toMatchObject({ code: "RUN_NOT_FOUND" })),
      ),
    );
    const { a, b } = await store.getAllState(runId);
    expect(a).toBe(b);
    expect(await store.loadStateEntry(runId, "a")).toMatchObject({ revision: 10 });
  });
}
