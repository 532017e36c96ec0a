import { describe, expect } from "vitest";
import { hasHostTransactions } from "../../store/transactions.ts";
import {
  expectRejection,
  givenRun,
  newRun,
  type StoreCapabilities,
  type StoreTest,
} from "./environment.ts";

export function describeTransactions(
  test: StoreTest,
  { transactions = true, hostTransactions = false }: StoreCapabilities,
): void {
  describe("transactions", () => {
    if (transactions) describeSupported(test);
    else {
      test("are refused by a store that has none", async ({ store }) => {
        await expectRejection(
          store.transaction(async () => undefined),
          "UNSUPPORTED",
        );
      });
    }
    if (hostTransactions) describeHostTransactions(test);
    else {
      test("of the host are not claimed", async ({ store }) => {
        expect(hasHostTransactions(store)).toBe(false);
      });
    }
  });
}

function describeSupported(test: StoreTest): void {
  test("commit what was done through them, and return what the work returns", async ({ store }) => {
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

  test("are undone when the work throws, and that error is thrown", async ({ store }) => {
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

  test("free the idempotency key of a run that they delete", async ({ store }) => {
    const first = await givenRun(store, { idempotencyKey: "key" });
    const second = await store.transaction(async (tx) => {
      await tx.deleteRun(first.runId);
      return givenRun(tx, { idempotencyKey: "key" });
    });
    expect(second.runId).not.toBe(first.runId);
    expect(await givenRun(store, { idempotencyKey: "key" })).toEqual(second);
  });

  test("go on after an error of an operation that the work caught", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "a", 1);
      await expectRejection(tx.getRun("nobody"), "RUN_NOT_FOUND");
      await expectRejection(
        tx.batch((write) => {
          write.saveState(runId, "b", 1);
          write.updateRun("nobody", { progress: 1 });
        }),
        "RUN_NOT_FOUND",
      );
      await tx.saveState(runId, "c", 1);
    });
    expect(await store.getAllState(runId)).toEqual({ a: 1, c: 1 });
  });

  test("are savepoints inside one another", async ({ store }) => {
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

  test("allow one savepoint at a time, and nothing beside it", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      let finish: () => void = () => undefined;
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const first = tx.transaction(async (inner) => {
        await inner.saveState(runId, "first", 1);
        await finished;
      });
      await expectRejection(
        tx.transaction(async () => undefined),
        "UNSUPPORTED",
      );
      await expectRejection(tx.saveState(runId, "beside", 1), "UNSUPPORTED");
      finish();
      await first;
      await tx.saveState(runId, "after", 1);
    });
    expect(await store.getAllState(runId)).toEqual({ first: 1, after: 1 });
  });

  test("run one after the other: n increments make n", async ({ store }) => {
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

  test("let other writers wait, and lose none of them", async ({ store }) => {
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

  test("refuse the use of the store itself inside them", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.transaction(async (tx) => {
      await tx.saveState(runId, "k", 1);
      await expectRejection(store.getRun(runId), "UNSUPPORTED");
      await expectRejection(store.saveState(runId, "k", 2), "UNSUPPORTED");
      await expectRejection(
        store.transaction(async () => undefined),
        "UNSUPPORTED",
      );
    });
    expect(await store.loadState(runId, "k")).toBe(1);
  });

  test("refuse a savepoint that outlives them, and write nothing of it", async ({ store }) => {
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

  test("do not run when they are aborted while they wait for another", async ({ store }) => {
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

  test("show others nothing before they commit", async ({ store }) => {
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
    // A store may make readers wait; none may show what is not committed.
    const seen = Promise.all([store.loadState(runId, "k"), store.countRuns(), store.getRun(runId)]);
    await Promise.race([seen, new Promise((resolve) => setTimeout(resolve, 20))]);
    finish.open();
    await expect(work).rejects.toBe(failure);
    expect(await seen).toMatchObject(["before", { PENDING: 1 }, { progress: 0 }]);
  });

  test("cannot be used once they have ended", async ({ store }) => {
    const { runId } = await givenRun(store);
    const tx = await store.transaction(async (inside) => ({ inside }));
    await expectRejection(tx.inside.getRun(runId), "UNSUPPORTED");
    await expectRejection(tx.inside.saveState(runId, "k", 1), "UNSUPPORTED");
  });
}

function describeHostTransactions(test: StoreTest): void {
  test("of the host commit and roll back the store's writes with the host's", async ({ store }) => {
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

  test("of the host carry batches and nested transactions", async ({ store }) => {
    if (!hasHostTransactions(store)) throw new TypeError("the store has no host transactions");
    const { runId } = await givenRun(store);
    await store.hostTransaction(async (_transaction, tx) => {
      await tx.batch((write) => write.saveState(runId, "batched", 1));
      await expectRejection(
        tx.batch((write) => {
          write.saveState(runId, "undone", 1);
          write.updateRun("nobody", { progress: 1 });
        }),
        "RUN_NOT_FOUND",
      );
      await tx.transaction((inner) => inner.saveState(runId, "nested", 1));
    });
    expect(await store.getAllState(runId)).toEqual({ batched: 1, nested: 1 });
  });
}

/** Something that others wait for, until it is opened. */
function openDoor(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}
