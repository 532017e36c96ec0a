import { expect } from "vitest";
import type { RunBundle } from "../../model/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { rejects, givenRun, type StoreTest, rejectsArgument } from "./environment.ts";

async function givenBundles(store: WorkflowStore): Promise<RunBundle[]> {
  for (const runId of ["one", "two", "three"]) {
    await givenRun(store, { runId, input: { runId }, idempotencyKey: runId });
    for (const stepId of ["b", "a"]) {
      await store.createStepExecution({ runId, stepId, executionIndex: stepId === "a" ? 1 : 0 });
      await store.saveStepOutput(runId, stepId, { stepId });
      for (const attempt of [2, 1]) {
        await store.saveStepAttempt({ runId, stepId, attempt, status: "FAILED", error: attempt });
      }
    }
    await store.saveState(runId, "z", null);
    await store.saveState(runId, "y", [1]);
  }
  return (await store.readBundles()).bundles;
}

export function describeBundles(test: StoreTest): void {
  test("bundles are complete runs, oldest first, in order", async ({ store, clock }) => {
    await givenRun(store, { runId: "later", createdAt: new Date(clock.now().getTime() + 1) });
    const bundles = await givenBundles(store);
    expect(bundles.map(({ run }) => run.runId)).toEqual(["one", "three", "two", "later"]);
    expect(bundles[0]?.run).toEqual(await store.getRun("one"));
    expect(bundles[0]?.steps.map((step) => step.stepId)).toEqual(["b", "a"]);
    expect(bundles[0]?.attempts.map(({ stepId, attempt }) => stepId + attempt)).toEqual([
      "a1",
      "a2",
      "b1",
      "b2",
    ]);
    expect(bundles[0]?.outputs.map((output) => output.output)).toEqual([
      { stepId: "a" },
      { stepId: "b" },
    ]);
    expect(bundles[0]?.state).toMatchObject([
      { key: "y", value: [1], revision: 1 },
      { key: "z", value: null, revision: 1 },
    ]);
    expect(bundles[3]).toMatchObject({ steps: [], attempts: [], outputs: [], state: [] });
  });

  test("bundles are read in pages, with a filter", async ({ store }) => {
    await givenBundles(store);
    await givenRun(store, { workflowId: "refunds" });
    const filter = { workflowId: "orders" };
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<WorkflowStore["readBundles"]>> = await store.readBundles({
        limit: 2,
        filter,
        cursor,
      });
      ids.push(...page.bundles.map(({ run }) => run.runId));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(ids).toEqual(["one", "three", "two"]);
    const { nextCursor } = await store.readBundles({ limit: 1, filter });
    await rejectsArgument(store.readBundles({ cursor: nextCursor }), "cursor");
    await rejects(store.listRuns({ ...filter, cursor: nextCursor }), "INVALID_ARGUMENT");
  });

  test("bundles of named runs are those that exist and match", async ({ store }) => {
    const all = await givenBundles(store);
    const runIds = ["two", "absent", "one", "two"];
    expect(await store.readBundles({ runIds })).toEqual({
      bundles: [all[0], all[2]],
      nextCursor: null,
      corrupt: [],
    });
    const first = await store.readBundles({ runIds, limit: 1 });
    expect(first.bundles).toEqual([all[0]]);
    const second = await store.readBundles({ runIds, cursor: first.nextCursor });
    expect(second).toMatchObject({ bundles: [all[2]], nextCursor: null });
    await rejects(
      store.readBundles({ runIds: ["two"], cursor: first.nextCursor }),
      "INVALID_ARGUMENT",
    );
    const filter = { workflowId: "refunds" };
    expect((await store.readBundles({ runIds, filter })).bundles).toEqual([]);
    for (const bad of [[], [""], "one"]) {
      await rejects(store.readBundles({ runIds: bad as string[] }), "INVALID_ARGUMENT");
    }
  });

  test("a page of bundles is limited in bytes, with children", async ({ store, clock }) => {
    for (let index = 0; index < 4; index++) {
      clock.advance(1);
      const { runId } = await givenRun(store);
      await store.saveStepOutput(runId, "a", "x".repeat(1024 * 1024));
      await store.saveState(runId, "k", "x".repeat(1024 * 1024));
    }
    const page = await store.readBundles();
    expect(page.bundles).toHaveLength(1);
    expect(page.nextCursor).not.toBeNull();
  });

  test("a bundle may have more steps than a page", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.batch((write) => {
      for (let index = 0; index < 2500; index++) {
        write.createStepExecution({ runId, stepId: `s${index}`, executionIndex: index });
      }
    });
    const { bundles } = await store.readBundles();
    expect(bundles[0]?.steps.map((step) => step.executionIndex)).toEqual(
      Array.from({ length: 2500 }, (_, index) => index),
    );
    expect(await store.listStepExecutions(runId)).toEqual(bundles[0]?.steps);
  });

  test("bundles are written unchanged", async ({ store }) => {
    const bundles = await givenBundles(store);
    for (const { run } of bundles) await store.deleteRun(run.runId);
    expect(await store.writeBundles(bundles, { onConflict: "fail" })).toEqual({
      written: 3,
      skipped: 0,
      replaced: 0,
    });
    expect((await store.readBundles()).bundles).toEqual(bundles);
  });

  test("bundles may lack fields of later versions of the schema", async ({ store }) => {
    await givenRun(store, { runId: "old", status: "RUNNING" });
    await store.createStepExecution({ runId: "old", stepId: "a", attempt: 1 });
    const { bundles } = await store.readBundles();
    const old = bundles.map(({ run, steps, outputs, state }) => ({
      run: without(run, "wakeAt", "deadlineAt", "timeoutMs", "lostLeases", "stateRevision"),
      steps: steps.map((step) =>
        without(step, "attemptOffset", "sleepCount", "wakeAt", "inputFrom"),
      ),
      outputs,
      state,
    }));
    await store.deleteRun("old");
    expect(await store.writeBundles(old, { onConflict: "fail" })).toMatchObject({ written: 1 });
    expect((await store.readBundles()).bundles).toEqual(bundles);
  });

  test("`fail` stops at the first existing run, and keeps earlier ones", async ({ store }) => {
    const bundles = await givenBundles(store);
    await store.deleteRun("one");
    await store.updateRun("three", { progress: 0.3 });
    await rejects(store.writeBundles(bundles, { onConflict: "fail" }), "RUN_ALREADY_EXISTS", {
      runId: "three",
    });
    expect(await store.getRun("one")).toEqual(bundles[0]?.run);
    expect(await store.getRun("three")).toMatchObject({ progress: 0.3 });
  });

  test("`skip` does not change existing runs", async ({ store }) => {
    const bundles = await givenBundles(store);
    await store.deleteRun("one");
    await store.saveState("two", "z", "changed");
    expect(await store.writeBundles(bundles, { onConflict: "skip" })).toEqual({
      written: 1,
      skipped: 2,
      replaced: 0,
    });
    expect(await store.loadState("two", "z")).toBe("changed");
    expect(await store.getAllState("one")).toEqual({ y: [1], z: null });
  });

  test("`replace` replaces existing runs completely", async ({ store }) => {
    const bundles = await givenBundles(store);
    await store.deleteRun("one");
    await store.saveState("two", "extra", 1);
    await store.updateRun("two", { status: "COMPLETED" });
    expect(await store.writeBundles(bundles, { onConflict: "replace" })).toEqual({
      written: 1,
      skipped: 0,
      replaced: 2,
    });
    expect((await store.readBundles()).bundles).toEqual(bundles);
  });

  test("`keepNewer` keeps a run with a higher revision", async ({ store }) => {
    const bundles = await givenBundles(store);
    await store.updateRun("two", { progress: 0.5 });
    expect(await store.writeBundles(bundles, { onConflict: "replace", keepNewer: true })).toEqual({
      written: 0,
      skipped: 1,
      replaced: 2,
    });
    expect(await store.getRun("two")).toMatchObject({ progress: 0.5, revision: 2 });
    await store.writeBundles(bundles, { onConflict: "replace", keepNewer: false });
    expect(await store.getRun("two")).toMatchObject({ progress: 0, revision: 1 });
  });

  test("`keepNewer` keeps a run with any other newer write", async ({ store }) => {
    await givenRun(store, { runId: "a" });
    await store.createStepExecution({ runId: "a", stepId: "s", status: "RUNNING" });
    await store.saveState("a", "k", 1);
    await store.saveState("a", "gone", 1);
    const writes = [
      () => store.createStepExecution({ runId: "a", stepId: "t" }),
      () => store.updateStepExecution("a", "s", { status: "COMPLETED" }),
      () => store.saveStepAttempt({ runId: "a", stepId: "s", attempt: 1, status: "FAILED" }),
      () => store.saveStepOutput("a", "s", 1),
      () => store.saveState("a", "k", 2),
      () => store.saveState("a", "new", 1),
      () => store.deleteState("a", "gone"),
    ];
    const options = { onConflict: "replace", keepNewer: true } as const;
    for (const write of writes) {
      const { bundles: before } = await store.readBundles();
      await write();
      const { bundles: after } = await store.readBundles();
      expect(await store.writeBundles(before, options)).toMatchObject({ skipped: 1 });
      expect((await store.readBundles()).bundles).toEqual(after);
      await store.writeBundles(before, { onConflict: "replace" });
      expect(await store.writeBundles(after, options)).toMatchObject({ replaced: 1 });
      expect((await store.readBundles()).bundles).toEqual(after);
    }
  });

  test("`keepNewer` replaces a run that was created again", async ({ store, clock }) => {
    const [bundle] = await givenBundles(store);
    if (bundle === undefined) throw new TypeError("no bundle");
    await store.deleteRun("one");
    clock.advance(1);
    await givenRun(store, { runId: "one" });
    await store.updateRun("one", { progress: 0.5 });
    const options = { onConflict: "replace", keepNewer: true } as const;
    expect(await store.writeBundles([bundle], options)).toMatchObject({ replaced: 1 });
    expect(await store.getRun("one")).toEqual(bundle.run);
  });

  test("a bundle cannot take the idempotency key of another run", async ({ store }) => {
    const [bundle] = await givenBundles(store);
    if (bundle === undefined) throw new TypeError("no bundle");
    const copy = {
      run: { ...bundle.run, runId: "copy" },
      steps: [],
      outputs: [],
      state: [],
    };
    for (const onConflict of ["fail", "replace"] as const) {
      await rejects(store.writeBundles([copy], { onConflict }), "RUN_ALREADY_EXISTS", {
        runId: "copy",
        heldBy: bundle.run.runId,
        idempotencyKey: bundle.run.idempotencyKey,
      });
    }
    expect(await store.writeBundles([copy], { onConflict: "skip" })).toMatchObject({
      skipped: 1,
    });
    await rejects(store.getRun("copy"), "RUN_NOT_FOUND");
  });

  test("all bundles are checked before any is written", async ({ store }) => {
    const [bundle] = await givenBundles(store);
    if (bundle === undefined) throw new TypeError("no bundle");
    await store.deleteRun("one");
    const [step] = bundle.steps;
    const [attempt] = bundle.attempts;
    const [output] = bundle.outputs;
    const [value] = bundle.state;
    const bad: [unknown, string][] = [
      [{ ...bundle, extra: 1 }, "bundles[1].extra"],
      [{ ...bundle, run: { ...bundle.run, status: "DONE" } }, "bundles[1].run.status"],
      [{ ...bundle, steps: [{ ...step, runId: "other" }] }, "bundles[1].steps[0]"],
      [{ ...bundle, steps: [step, step] }, "bundles[1].steps[1]"],
      [{ ...bundle, attempts: [attempt, attempt] }, "bundles[1].attempts[1]"],
      [{ ...bundle, attempts: [{ ...attempt, runId: "other" }] }, "bundles[1].attempts[0]"],
      [{ ...bundle, outputs: [output, output] }, "bundles[1].outputs[1]"],
      [{ ...bundle, state: [value, value] }, "bundles[1].state[1]"],
      [{ ...bundle, state: [{ ...value, runId: "other" }] }, "bundles[1].state[0]"],
      ["no bundle", "bundles[1]"],
    ];
    for (const [broken, argument] of bad) {
      await rejectsArgument(
        store.writeBundles([bundle, broken as RunBundle], { onConflict: "fail" }),
        argument,
      );
    }
    await rejects(
      store.writeBundles([bundle, { ...bundle, run: { ...bundle.run, input: Number.NaN } }], {
        onConflict: "fail",
      }),
      "INVALID_VALUE",
    );
    await rejects(store.getRun("one"), "RUN_NOT_FOUND");
  });
}

function without<Row extends object, Name extends keyof Row>(
  row: Row,
  ...names: Name[]
): Omit<Row, Name> {
  const kept = { ...row };
  for (const name of names) delete kept[name];
  return kept;
}
