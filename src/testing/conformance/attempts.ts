import { expect } from "vitest";
import type { NewStepAttempt } from "../../schema/rows.ts";
import { rejects, givenRun, type StoreTest, rejectsArgument, rejectsValue } from "./environment.ts";

export function describeAttempts(test: StoreTest): void {
  test("an attempt is stored unchanged, and missing columns are null", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    const whole = {
      runId,
      stepId: "a",
      attempt: 1,
      status: "FAILED",
      error: { name: "Error", message: "again" },
      workerId: "w",
      startedAt: new Date(clock.now().getTime() - 5),
      completedAt: clock.now(),
    } as const;
    await store.saveStepAttempt(whole);
    await store.saveStepAttempt({ runId, stepId: "a", attempt: 2, status: "COMPLETED" });
    expect(await store.listStepAttempts(runId)).toEqual([
      whole,
      {
        runId,
        stepId: "a",
        attempt: 2,
        status: "COMPLETED",
        error: null,
        workerId: null,
        startedAt: null,
        completedAt: null,
      },
    ]);
  });

  test("attempts are listed by step, then by attempt", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.batch((write) => {
      for (const [stepId, attempt] of [
        ["\u{10000}", 1],
        ["\uffee", 1],
        ["b", 10],
        ["b", 9],
        ["a", 2],
      ] as const) {
        write.saveStepAttempt({ runId, stepId, attempt, status: "FAILED" });
      }
    });
    const attempts = await store.listStepAttempts(runId);
    expect(attempts.map(({ stepId, attempt }) => [stepId, attempt])).toEqual([
      ["a", 2],
      ["b", 9],
      ["b", 10],
      ["\uffee", 1],
      ["\u{10000}", 1],
    ]);
    expect(await store.listStepAttempts("unknown")).toEqual([]);
  });

  test("a step may have more attempts than a page", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.batch((write) => {
      for (let attempt = 1; attempt <= 2500; attempt++) {
        write.saveStepAttempt({ runId, stepId: "a", attempt, status: "FAILED" });
      }
    });
    expect((await store.listStepAttempts(runId)).map(({ attempt }) => attempt)).toEqual(
      Array.from({ length: 2500 }, (_, index) => index + 1),
    );
  });

  test("an attempt replaces its earlier record", async ({ store }) => {
    const { runId } = await givenRun(store);
    const attempt = { runId, stepId: "a", attempt: 1 };
    await store.saveStepAttempt({ ...attempt, status: "FAILED", error: "x", workerId: "w" });
    await store.saveStepAttempt({ ...attempt, status: "COMPLETED" });
    expect(await store.listStepAttempts(runId)).toMatchObject([
      { status: "COMPLETED", error: null, workerId: null },
    ]);
  });

  test("an attempt needs a run, and a fence that holds", async ({ store }) => {
    const attempt = { stepId: "a", attempt: 1, status: "FAILED" } as const;
    await rejects(store.saveStepAttempt({ ...attempt, runId: "unknown" }), "RUN_NOT_FOUND", {
      runId: "unknown",
    });
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await rejects(
      store.saveStepAttempt({ ...attempt, runId }, { workerId: "stranger" }),
      "LEASE_LOST",
      { runId, workerId: "stranger" },
    );
    expect(await store.listStepAttempts(runId)).toEqual([]);
    await store.saveStepAttempt({ ...attempt, runId }, { workerId: "holder" });
    expect(await store.listStepAttempts(runId)).toHaveLength(1);
  });

  test("an invalid attempt is rejected by the name of the field", async ({ store }) => {
    const { runId } = await givenRun(store);
    const good = { runId, stepId: "a", attempt: 1, status: "FAILED" };
    for (const [wrong, field] of [
      [{ attempt: -1 }, "attempt"],
      [{ attempt: undefined }, "attempt"],
      [{ status: "DONE" }, "status"],
      [{ completedAt: 5 }, "completedAt"],
      [{ output: 1 }, "output"],
    ] as const) {
      await rejectsArgument(
        store.saveStepAttempt({ ...good, ...wrong } as unknown as NewStepAttempt),
        `attempt.${field}`,
      );
    }
    await rejectsValue(
      store.saveStepAttempt({ ...good, error: { at: new Date(0) } } as NewStepAttempt),
      "error.at",
    );
  });
}
