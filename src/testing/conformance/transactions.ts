import { expect } from "vitest";
import { hasHostTransactions } from "../../store/transactions.ts";
import {
  rejects,
  givenRun,
  newRun,
  type StoreCapabilities,
  type StoreTest,
} from "./environment.ts";

export function describeTransactions(
  test: StoreTest,
  { transactions = true, hostTransactions = false }: StoreCapabilities,
): void {
  if (transactions) describeSupported(test);
  else {
    test("a store without transactions rejects them", async ({ store }) => {
      await rejects(store.transaction(doNothing), "UNSUPPORTED");
    });
  }
  if (hostTransactions) describeHostTransactions(test);
  else {
    test("a store without host transactions does not have the methods", async ({ store }) => {
      expect(hasHostTransactions(store)).toBe(false);
    });
  }
}

function describeSupported(test: StoreTest): void {
  test("a transaction commits, and returns the result of the work", async ({ store }) => {
    const result = await store.transaction(async (tx) => {
      const { runId } = await tx.createRun(newRun({ input: 1 }));
      await tx.createStepExecution({ runId, stepId: "a" });
      await tx.saveStepOutput(runId, "a", 2);
      await tx.saveState(runId, "k", 3);
      await tx.batch((write) => write.updateRun(runId, { progress: 0.5 }));
      expect(await tx.getRun(runId)).toMatchObject({ input: 1, progress: 0.5 });
      expect((await tx.listRuns()).runs).toHaveLength(1);
      expect(await tx.countRuns()).toMatchObject({ PENDING: 1 });
      return runId;
    });
    expect(await store.getRun(result)).toMatchObject({ input: 1, progress: 0.5, revision: 2 });
    expect(await store.loadStepOutput(result, "a")).toBe(2);
    expect(await store.getAllState(result)).toEqual({ k: 3 });
  });

  test("a transaction claims runs and releases them", async ({ store }) => {
    const claim = { workerId: "w", leaseMs: 1000, limit: 10 };
    const workflows = [{ workflowId: "orders", workflowVersion: "1" }];
    const failure = new Error("mine");
    await givenRun(store, { workflowId: "other" });
    const { runId } = await givenRun(store);
    const work = store.transaction(async (tx) => {
      expect(await tx.claimRuns({ ...claim, workflows })).toMatchObject([{ runId, attempt: 1 }]);
      await tx.releaseLease({ runId, workerId: "w" });
      const again = await tx.claimRuns(claim);
      expect(again.map(({ attempt }) => attempt).toSorted((a, b) => a - b)).toEqual([1, 2]);
      expect(await tx.claimRuns(claim)).toEqual([]);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await store.claimRuns({ ...claim, workflows })).toMatchObject([{ runId, attempt: 1 }]);
  });

  test("a transaction pauses and resumes workflows", async ({ store }) => {
    const claim = { workerId: "w", leaseMs: 1000, limit: 10 };
    await store.pauseWorkflow("mails");
    const { runId } = await givenRun(store);
    await givenRun(store, { workflowId: "mails" });
    const failure = new Error("mine");
    const work = store.transaction(async (tx) => {
      expect(await tx.pauseWorkflow("orders")).toBe(true);
      expect(await tx.claimRuns(claim)).toEqual([]);
      expect(await tx.resumeWorkflow("mails")).toBe(true);
      expect(await tx.listPausedWorkflows()).toMatchObject([{ workflowId: "orders" }]);
      expect(await tx.claimRuns(claim)).toMatchObject([{ workflowId: "mails" }]);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await store.listPausedWorkflows()).toMatchObject([{ workflowId: "mails" }]);
    expect(await store.claimRuns(claim)).toMatchObject([{ runId }]);
    await store.transaction(async (tx) => tx.pauseWorkflow("orders"));
    expect(await store.listPausedWorkflows()).toHaveLength(2);
  });

  test("a transaction rolls back if the work throws, with its error", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "k", 1);
    const before = await store.readBundles();
    const failure = new Error("mine");
    await expect(
      store.transaction(async (tx) => {
        await tx.createRun(newRun());
        await tx.updateRun(runId, { status: "COMPLETED" });
        await tx.deleteState(runId, "k");
        await tx.deleteRun(runId);
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await store.readBundles()).toEqual(before);
  });

  test("a transaction frees the idempotency key of a deleted run", async ({ store }) => {
    const first = await givenRun(store, { idempotencyKey: "key" });
    const second = await store.transaction(async (tx) => {
      await tx.deleteRun(first.runId);
      return givenRun(tx, { idempotencyKey: "key" });
    });
    expect(second.runId).not.toBe(first.runId);
    expect(await givenRun(store, { idempotencyKey: "key" })).toEqual(second);
  });

  test("a transaction continues after an error that the work catches", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "a", 1);
      await rejects(tx.getRun("unknown"), "RUN_NOT_FOUND");
      await rejects(
        tx.batch((write) => {
          write.saveState(runId, "b", 1);
          write.updateRun("unknown", { progress: 1 });
        }),
        "RUN_NOT_FOUND",
      );
      await tx.saveState(runId, "c", 1);
    });
    expect(await store.getAllState(runId)).toEqual({ a: 1, c: 1 });
  });

  test("a nested transaction is a savepoint", async ({ store }) => {
    const { runId } = await givenRun(store);
    const failure = new Error("inner");
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "outer", 1);
      await expect(
        tx.transaction(async (inner) => {
          await inner.saveState(runId, "outer", 2);
          await inner.saveState(runId, "undone", 1);
          expect(await inner.getAllState(runId)).toEqual({ outer: 2, undone: 1 });
          throw failure;
        }),
      ).rejects.toBe(failure);
      expect(await tx.getAllState(runId)).toEqual({ outer: 1 });
      await tx.transaction(async (inner) => {
        await inner.transaction((innermost) => innermost.saveState(runId, "deep", 1));
      });
    });
    expect(await store.getAllState(runId)).toEqual({ outer: 1, deep: 1 });
  });

  test("one savepoint is open at a time, and blocks its parent", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      const finish = openDoor();
      const first = tx.transaction(async (inner) => {
        await inner.saveState(runId, "first", 1);
        await finish.passed;
      });
      await rejects(tx.transaction(doNothing), "UNSUPPORTED");
      await rejects(tx.saveState(runId, "beside", 1), "UNSUPPORTED");
      finish.open();
      await first;
      await tx.saveState(runId, "after", 1);
    });
    expect(await store.getAllState(runId)).toEqual({ first: 1, after: 1 });
  });

  test("transactions run one after another", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "count", 0);
    await Promise.all(
      Array.from({ length: 10 }, () =>
        store.transaction(async (tx) => {
          const count = Number(await tx.loadState(runId, "count"));
          await tx.saveState(runId, "count", count + 1);
        }),
      ),
    );
    expect(await store.loadState(runId, "count")).toBe(10);
  });

  test("other writers wait for a transaction, and lose nothing", async ({ store }) => {
    const { runId } = await givenRun(store);
    const work = store.transaction(async (tx) => {
      await tx.saveState(runId, "tx", 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await tx.saveState(runId, "tx", 2);
    });
    await Promise.all([
      work,
      ...Array.from({ length: 20 }, (_, index) => store.saveState(runId, `k${index}`, index)),
    ]);
    expect(Object.keys(await store.getAllState(runId))).toHaveLength(21);
  });

  test("the store itself is rejected inside its transaction", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "k", 1);
      await rejects(store.getRun(runId), "UNSUPPORTED");
      await rejects(store.saveState(runId, "k", 2), "UNSUPPORTED");
      await rejects(store.transaction(doNothing), "UNSUPPORTED");
    });
    expect(await store.loadState(runId, "k")).toBe(1);
  });

  test("a savepoint cannot outlive its transaction", async ({ store }) => {
    const { runId } = await givenRun(store);
    const finish = openDoor();
    const saved = openDoor();
    let late: Promise<unknown> = Promise.resolve();
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "outer", 1);
      late = tx.transaction(async (inner) => {
        await inner.saveState(runId, "inner", 1);
        saved.open();
        await finish.passed;
        await inner.saveState(runId, "late", 1);
      });
      late.catch(() => undefined);
      await saved.passed;
    });
    finish.open();
    await expect(late).rejects.toThrow();
    expect(await store.getAllState(runId)).toEqual({ outer: 1 });
    await store.saveState(runId, "after", 1);
  });

  test("a transaction that is aborted while it waits does not run", async ({ store }) => {
    const { runId } = await givenRun(store);
    const [begun, finish] = [openDoor(), openDoor()];
    const holding = store.transaction(async (tx) => {
      await tx.saveState(runId, "holding", 1);
      begun.open();
      await finish.passed;
    });
    await begun.passed;
    const aborted = new AbortController();
    const { signal } = aborted;
    let ran = false;
    const work = store.transaction(
      async (tx) => {
        ran = true;
        await tx.saveState(runId, "late", 1);
      },
      { signal },
    );
    work.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 5));
    aborted.abort(new Error("aborted by the caller"));
    finish.open();
    await holding;
    await expect(work).rejects.toThrow("aborted by the caller");
    await store.saveState(runId, "after", 1);
    expect(ran).toBe(false);
    expect(Object.keys(await store.getAllState(runId))).toEqual(["after", "holding"]);
  });

  test("uncommitted changes are not visible outside", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "k", "before");
    const [written, finish] = [openDoor(), openDoor()];
    const failure = new Error("mine");
    const work = store.transaction(async (tx) => {
      await tx.saveState(runId, "k", "inside");
      await tx.createRun(newRun());
      await tx.updateRun(runId, { progress: 0.5 });
      written.open();
      await finish.passed;
      throw failure;
    });
    work.catch(() => undefined);
    await written.passed;
    // Readers may have to wait, but must not see uncommitted changes.
    const seen = Promise.all([store.loadState(runId, "k"), store.countRuns(), store.getRun(runId)]);
    await Promise.race([seen, new Promise((resolve) => setTimeout(resolve, 20))]);
    finish.open();
    await expect(work).rejects.toBe(failure);
    expect(await seen).toMatchObject(["before", { PENDING: 1 }, { progress: 0 }]);
  });

  test("a transaction that has ended is rejected", async ({ store }) => {
    const { runId } = await givenRun(store);
    const tx = await store.transaction(async (inside) => ({ inside }));
    await rejects(tx.inside.getRun(runId), "UNSUPPORTED");
    await rejects(tx.inside.saveState(runId, "k", 1), "UNSUPPORTED");
  });
}

function describeHostTransactions(test: StoreTest): void {
  test("a host transaction commits and rolls back with the host", async ({ store }) => {
    if (!hasHostTransactions(store)) throw new TypeError("the store has no host transactions");
    const { runId } = await givenRun(store);
    const result = await store.hostTransaction(async (transaction, tx) => {
      await tx.saveState(runId, "a", 1);
      await store.withTransaction(transaction).saveState(runId, "b", 2);
      return "done";
    });
    expect(result).toBe("done");
    expect(await store.getAllState(runId)).toEqual({ a: 1, b: 2 });
    const failure = new Error("mine");
    await expect(
      store.hostTransaction(async (_transaction, tx) => {
        await tx.deleteRun(runId);
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await store.getAllState(runId)).toEqual({ a: 1, b: 2 });
  });

  test("a host transaction has batches and savepoints", async ({ store }) => {
    if (!hasHostTransactions(store)) throw new TypeError("the store has no host transactions");
    const { runId } = await givenRun(store);
    await store.hostTransaction(async (_transaction, tx) => {
      await tx.batch((write) => write.saveState(runId, "batched", 1));
      await rejects(
        tx.batch((write) => {
          write.saveState(runId, "undone", 1);
          write.updateRun("unknown", { progress: 1 });
        }),
        "RUN_NOT_FOUND",
      );
      await tx.transaction((inner) => inner.saveState(runId, "nested", 1));
    });
    expect(await store.getAllState(runId)).toEqual({ batched: 1, nested: 1 });
  });
}

const doNothing = async () => undefined;

/** A promise, and the function that resolves it. */
function openDoor(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}
