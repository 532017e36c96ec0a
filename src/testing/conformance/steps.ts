import { expect } from "vitest";
import { rejects, givenRun, type StoreTest } from "./environment.ts";

export function describeSteps(test: StoreTest): void {
  test("a new step execution has defaults", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    const step = await store.createStepExecution({ runId, stepId: "a" });
    expect(step).toEqual({
      runId,
      stepId: "a",
      executionIndex: 0,
      status: "PENDING",
      attempt: 0,
      attemptOffset: 0,
      sleepCount: 0,
      wakeAt: null,
      input: null,
      inputFrom: null,
      error: null,
      durationMs: null,
      createdAt: clock.now(),
      startedAt: null,
      completedAt: null,
      updatedAt: clock.now(),
    });
    expect(await store.getStepExecution(runId, "a")).toEqual(step);
  });

  test("an input may consist of stored outputs", async ({ store }) => {
    const { runId } = await givenRun(store);
    const outputs = { a: { n: 1 }, b: "x".repeat(1_500_000), c: "y".repeat(1_500_000) };
    for (const [stepId, output] of Object.entries(outputs)) {
      await store.saveStepOutput(runId, stepId, output);
    }
    const one = { runId, stepId: "one", inputFrom: "a" };
    const two = { runId, stepId: "two", executionIndex: 1, inputFrom: ["b", "c", "gone"] };
    expect(await store.createStepExecution(one)).toMatchObject({ input: { n: 1 } });
    await store.createStepExecution({ ...two, input: "is not stored" });
    await store.batch((write) => write.updateStepExecution(runId, "two", { status: "RUNNING" }));
    const steps = await store.listStepExecutions(runId);
    expect(steps).toMatchObject([
      { ...one, input: outputs.a },
      { ...two, input: { b: outputs.b, c: outputs.c, gone: null }, status: "RUNNING" },
    ]);
    expect(await store.getStepExecution(runId, "two")).toEqual(steps[1]);
    Object.assign(steps[0]?.input as object, { n: 2 });
    expect(await store.loadStepOutput(runId, "a")).toEqual({ n: 1 });

    const { bundles } = await store.readBundles();
    expect(bundles[0]?.steps).toEqual(await store.listStepExecutions(runId));
    await store.deleteRun(runId);
    await store.writeBundles(bundles, { onConflict: "fail" });
    expect((await store.readBundles()).bundles).toEqual(bundles);

    const own = await store.updateStepExecution(runId, "one", { input: 3 });
    expect(own).toMatchObject({ input: 3, inputFrom: null });
    const derived = await store.updateStepExecution(runId, "one", { inputFrom: ["a"] });
    expect(derived).toMatchObject({ input: { a: { n: 1 } }, inputFrom: ["a"] });
    for (const inputFrom of [[], "", ["a", 7]]) {
      await rejects(
        store.createStepExecution({ ...one, stepId: "bad", inputFrom: inputFrom as string[] }),
        "INVALID_ARGUMENT",
      );
    }
  });

  test("a step execution needs a run, and exists once", async ({ store }) => {
    await rejects(store.createStepExecution({ runId: "unknown", stepId: "a" }), "RUN_NOT_FOUND", {
      runId: "unknown",
    });
    const { runId } = await givenRun(store);
    const step = await store.createStepExecution({ runId, stepId: "a", input: 1 });
    await rejects(
      store.createStepExecution({ runId, stepId: "a", input: 2 }),
      "STEP_EXECUTION_ALREADY_EXISTS",
      { runId, stepId: "a" },
    );
    expect(await store.getStepExecution(runId, "a")).toEqual(step);
  });

  test("a missing step execution is reported", async ({ store }) => {
    const { runId } = await givenRun(store);
    const missing = { runId, stepId: "a" };
    await rejects(store.getStepExecution(runId, "a"), "STEP_EXECUTION_NOT_FOUND", missing);
    await rejects(
      store.updateStepExecution(runId, "a", { attempt: 1 }),
      "STEP_EXECUTION_NOT_FOUND",
      missing,
    );
    await rejects(store.getStepExecution("unknown", "a"), "STEP_EXECUTION_NOT_FOUND");
    expect(await store.listStepExecutions("unknown")).toEqual([]);
  });

  test("a step execution is found, or null", async ({ store }) => {
    const { runId } = await givenRun(store);
    const step = await store.createStepExecution({ runId, stepId: "a", input: 1 });
    expect(await store.findStepExecution(runId, "a")).toEqual(step);
    expect(await store.findStepExecution(runId, "b")).toBeNull();
    expect(await store.findStepExecution("unknown", "a")).toBeNull();
  });

  test("step executions are listed without their inputs", async ({ store }) => {
    const { runId } = await givenRun(store);
    for (const [executionIndex, stepId] of ["b", "a"].entries()) {
      await store.createStepExecution({ runId, stepId, executionIndex, input: 1, error: 2 });
    }
    await store.saveStepOutput(runId, "a", 1);
    const from = { runId, stepId: "c", executionIndex: 2, inputFrom: "a" };
    await store.createStepExecution(from);
    const steps = await store.listStepExecutions(runId);
    expect(await store.listStepExecutions(runId, { payloads: false })).toEqual(
      steps.map((step) =>
        Object.fromEntries(Object.entries(step).filter(([name]) => name !== "input")),
      ),
    );
    expect(await store.listStepExecutions(runId, { payloads: true })).toEqual(steps);
    expect(await store.listStepExecutions("unknown", { payloads: false })).toEqual([]);
  });

  test("step executions are listed by index, then by step id", async ({ store }) => {
    const { runId } = await givenRun(store);
    const order = [
      ["b", 0],
      ["\uffee", 1],
      ["\u{10000}", 1],
      ["a", 2],
      ["c", 10],
    ] as const;
    for (const [stepId, executionIndex] of order.toReversed()) {
      await store.createStepExecution({ runId, stepId, executionIndex });
    }
    const steps = await store.listStepExecutions(runId);
    expect(steps.map((step) => [step.stepId, step.executionIndex])).toEqual(order);
  });

  test("an update of a step keeps all columns that it does not name", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    const step = await store.createStepExecution({
      runId,
      stepId: "a",
      executionIndex: 4,
      input: { a: 1 },
      error: { b: 2 },
      attempt: 2,
    });
    clock.advance(5);
    const updated = await store.updateStepExecution(runId, "a", { attempt: 3, input: undefined });
    expect(updated).toEqual({ ...step, attempt: 3, updatedAt: clock.now() });
    expect(await store.getStepExecution(runId, "a")).toEqual(updated);
    await store.updateStepExecution(runId, "a", { error: null });
    expect(await store.getStepExecution(runId, "a")).toEqual({ ...updated, error: null });
  });

  test("a step has the times of its first RUNNING and its end", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.createStepExecution({ runId, stepId: "a" });
    clock.advance(100);
    const startedAt = clock.now();
    await store.updateStepExecution(runId, "a", { status: "RUNNING" });
    clock.advance(50);
    await store.updateStepExecution(runId, "a", { status: "RETRYING" });
    await store.updateStepExecution(runId, "a", { status: "RUNNING" });
    clock.advance(25);
    expect(await store.updateStepExecution(runId, "a", { status: "COMPLETED" })).toMatchObject({
      startedAt,
      completedAt: clock.now(),
      durationMs: 75,
    });
  });

  test("a duration is null without a start, and never negative", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.createStepExecution({ runId, stepId: "skipped" });
    expect(await store.updateStepExecution(runId, "skipped", { status: "SKIPPED" })).toMatchObject({
      startedAt: null,
      completedAt: clock.now(),
      durationMs: null,
    });
    await store.createStepExecution({ runId, stepId: "skewed" });
    await store.updateStepExecution(runId, "skewed", {
      status: "RUNNING",
      startedAt: new Date(2_000_000_000_000),
    });
    expect(await store.updateStepExecution(runId, "skewed", { status: "FAILED" })).toMatchObject({
      durationMs: 0,
    });
  });

  test("an update of a step accepts times and a duration", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.createStepExecution({ runId, stepId: "a" });
    const startedAt = new Date(1000);
    const completedAt = new Date(1500);
    expect(
      await store.updateStepExecution(runId, "a", { status: "FAILED", startedAt, completedAt }),
    ).toMatchObject({ startedAt, completedAt, durationMs: 500 });
    expect(await store.updateStepExecution(runId, "a", { durationMs: 7 })).toMatchObject({
      durationMs: 7,
    });
  });

  test("COMPLETED and SKIPPED steps cannot change; FAILED ones can", async ({ store }) => {
    const { runId } = await givenRun(store);
    for (const status of ["COMPLETED", "SKIPPED"] as const) {
      await store.createStepExecution({ runId, stepId: status, status });
      await rejects(
        store.updateStepExecution(runId, status, { status: "RUNNING" }),
        "STEP_TRANSITION",
        { runId, stepId: status, from: status, to: "RUNNING" },
      );
      await rejects(store.updateStepExecution(runId, status, { attempt: 9 }), "STEP_TRANSITION", {
        to: null,
      });
      expect(await store.getStepExecution(runId, status)).toMatchObject({ status, attempt: 0 });
    }
    await store.createStepExecution({ runId, stepId: "again", status: "FAILED" });
    expect(
      await store.updateStepExecution(runId, "again", { status: "RUNNING", attempt: 2 }),
    ).toMatchObject({ status: "RUNNING", attempt: 2 });
  });

  test("the fence of a step is checked before its transition", async ({ store }) => {
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await rejects(
      store.updateStepExecution(runId, "a", { attempt: 1 }, { workerId: "stranger" }),
      "STEP_EXECUTION_NOT_FOUND",
    );
    await store.createStepExecution({ runId, stepId: "a", status: "COMPLETED" });
    await rejects(
      store.updateStepExecution(runId, "a", { attempt: 1 }, { workerId: "stranger" }),
      "LEASE_LOST",
      { runId, workerId: "stranger" },
    );
    await rejects(
      store.updateStepExecution(runId, "a", { attempt: 1 }, { workerId: "holder" }),
      "STEP_TRANSITION",
    );
    await store.createStepExecution({ runId, stepId: "b" });
    expect(
      await store.updateStepExecution(runId, "b", { attempt: 1 }, { workerId: "holder" }),
    ).toMatchObject({ attempt: 1 });
  });

  test("returned step executions are copies", async ({ store }) => {
    const { runId } = await givenRun(store);
    const given = { runId, stepId: "a", input: { n: [1] }, createdAt: new Date(5) };
    const created = await store.createStepExecution(given);
    given.input.n.push(2);
    given.createdAt.setTime(6);
    const stored = await store.getStepExecution(runId, "a");
    expect(stored).toMatchObject({ input: { n: [1] }, createdAt: new Date(5) });
    const copies = [
      created,
      stored,
      await store.updateStepExecution(runId, "a", { updatedAt: stored.updatedAt }),
      ...(await store.listStepExecutions(runId)),
    ];
    for (const copy of copies) {
      copy.attempt = 99;
      copy.createdAt.setTime(0);
      Object.assign(copy.input as object, { n: "changed" });
      const again = await store.getStepExecution(runId, "a");
      expect(again).toMatchObject({ attempt: 0, input: { n: [1] }, createdAt: new Date(5) });
      again.attempt = 99;
    }
    expect(await store.getStepExecution(runId, "a")).toMatchObject({ attempt: 0 });
  });

  test("concurrent updates of a step keep each other's columns", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.createStepExecution({ runId, stepId: "a" });
    await Promise.all([
      store.updateStepExecution(runId, "a", { attempt: 3 }),
      store.updateStepExecution(runId, "a", { error: "no" }),
      store.updateStepExecution(runId, "a", { sleepCount: 2 }),
      store.updateStepExecution(runId, "a", { status: "RUNNING" }),
    ]);
    expect(await store.getStepExecution(runId, "a")).toMatchObject({
      attempt: 3,
      error: "no",
      sleepCount: 2,
      status: "RUNNING",
    });
  });

  test("steps, outputs and state are distinguished by run and key", async ({ store }) => {
    for (const separator of [":", "/", " ", "|", ",", "\u0001", '","', "."]) {
      const [left, right] = [`a${separator}b`, `b${separator}c`];
      await givenRun(store, { runId: left });
      if (separator === ":") await givenRun(store, { runId: "a" });
      for (const [runId, id, value] of [
        [left, "c", 1],
        ["a", right, 2],
      ] as const) {
        await store.createStepExecution({ runId, stepId: id, input: value });
        await store.saveStepOutput(runId, id, value);
        await store.saveState(runId, id, value);
      }
      expect(await store.getStepExecution(left, "c")).toMatchObject({ input: 1 });
      expect(await store.loadStepOutput(left, "c")).toBe(1);
      expect(await store.loadState(left, "c")).toBe(1);
      expect(await store.getStepExecution("a", right)).toMatchObject({ input: 2 });
    }
  });
}
