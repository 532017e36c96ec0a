import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { LeaseLostError, StepOutputNotFoundError } from "../../src/errors.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

afterEach(() => void vi.useRealTimers());

const leaseMs = 30_000;

const adder = (version: string, by: number) =>
  defineWorkflow({ id: "w", version })
    .step(numberStep("s", (value) => value + by))
    .build();

describe.each(stores)("on %s", (_, open) => {
  test("another worker resumes a run of a dead worker after its last completed step", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const calls: string[] = [];
    const stuck = makeGate();
    const reached = makeGate();
    const first = numberStep("first", async (value, ctx) => {
      calls.push("first");
      await ctx.state.set("from", "first");
      return value + 1;
    });
    const make = (onSecond: () => Promise<void>) =>
      defineWorkflow({ id: "w" })
        .step(first)
        .stepIf(
          () => false,
          numberStep("skipped", () => 0),
        )
        .step(
          defineStep({
            id: "second",
            input: z.number(),
            output: z.number(),
            retry: { maxRetries: 3, delayMs: 0 },
            run: async (value, ctx) => {
              calls.push(`second ${value} attempt ${ctx.attempt}`);
              expect(await ctx.state.get("from")).toBe("first");
              if (ctx.attempt === 1) throw new Error("again");
              await onSecond();
              return value * 2;
            },
          }),
        )
        .build();

    const silent = makeEngine(store, { leaseMs, clock });
    const runId = await silent.start(
      make(async () => {
        reached.open();
        await stuck.promise;
      }),
      1,
    );
    silent.register(
      make(async () => {
        reached.open();
        await stuck.promise;
      }),
    );
    void silent.work();
    await reached.promise;
    // The begun attempt is stored.
    await vi.waitFor(async () => {
      expect(await store.getStepExecution(runId, "second")).toMatchObject({ attempt: 2 });
    });

    const rescuer = makeEngine(store, { leaseMs, clock, workerId: "rescuer" });
    rescuer.register(make(async () => {}));
    expect(await rescuer.recover()).toBe(0);
    clock.advance(leaseMs);
    expect(await rescuer.recover()).toBe(1);

    expect(calls).toEqual([
      "first",
      "second 2 attempt 1",
      "second 2 attempt 2",
      "second 2 attempt 2",
    ]);
    const run = await store.getRun(runId);
    expect(run).toMatchObject({
      status: "COMPLETED",
      output: 4,
      attempt: 2,
      workerId: "rescuer",
      progress: 1,
    });
    // The dead worker's step returns, which changes nothing.
    stuck.open();
    await silent.close();
    expect(await store.getRun(runId)).toEqual(run);
  });

  test("a worker that lost its run cannot write, and its step's signal aborts", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const reached = makeGate();
    const proceed = makeGate();
    const ended = makeGate<unknown>();
    const step = numberStep("s", async (value, { signal, state }) => {
      reached.open();
      await proceed.promise;
      const refused = await state.set("late", 1).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(LeaseLostError);
      ended.open(signal.reason);
      return value;
    });
    const engine = makeEngine(store, { leaseMs });
    engine.register(defineWorkflow({ id: "w" }).step(step).build());
    const runId = await engine.start(defineWorkflow({ id: "w" }).step(step).build(), 1);
    void engine.work();
    await reached.promise;
    clock.advance(leaseMs);
    const [claimed] = await store.claimRuns({ workerId: "other", leaseMs, limit: 1 });
    expect(claimed?.runId).toBe(runId);
    proceed.open();
    expect(await ended.promise).toBeInstanceOf(LeaseLostError);
    expect(await store.getAllState(runId)).toEqual({});
    expect(await store.listStepExecutions(runId)).toEqual([]);
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", workerId: "other" });
  });

  test("a step that returns after its run was lost changes nothing", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const reached = makeGate();
    const proceed = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", async (value) => {
          reached.open();
          await proceed.promise;
          return value;
        }),
      )
      .step(numberStep("next", (value) => value))
      .build();
    const engine = makeEngine(store, { leaseMs });
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    void engine.work();
    await reached.promise;
    clock.advance(leaseMs);
    await store.claimRuns({ workerId: "other", leaseMs, limit: 1 });
    const run = await store.getRun(runId);
    expect(run).toMatchObject({ status: "RUNNING", workerId: "other" });
    proceed.open();
    await engine.close();
    expect(await store.listStepExecutions(runId)).toEqual([]);
    await expect(store.loadStepOutput(runId, "s")).rejects.toThrow(StepOutputNotFoundError);
    expect(await store.getRun(runId)).toEqual(run);
  });

  test("a step that takes longer than its lease keeps the lease, and the store has its row", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const reached = makeGate();
    const proceed = makeGate();
    const step = numberStep("slow", async (value) => {
      reached.open();
      await proceed.promise;
      return value;
    });
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(
        () => false,
        numberStep("skipped", () => 0),
      )
      .step(step)
      .build();
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const engine = makeEngine(store, { leaseMs, clock });
    const running = engine.run(workflow, 1);
    await reached.promise;
    const [{ runId } = { runId: "" }] = (await store.listRuns()).runs;
    for (let beat = 0; beat < 8; beat++) {
      clock.advance(leaseMs / 4);
      await vi.advanceTimersByTimeAsync(leaseMs / 4);
      await vi.waitFor(async () =>
        expect((await store.getRun(runId)).leaseExpiresAt).toEqual(
          new Date(clock().getTime() + leaseMs),
        ),
      );
    }
    await vi.waitFor(async () =>
      expect(await store.listStepExecutions(runId)).toMatchObject([
        { stepId: "skipped", status: "SKIPPED" },
        { stepId: "slow", status: "RUNNING", attempt: 1 },
      ]),
    );
    expect(await store.claimRuns({ workerId: "other", leaseMs, limit: 1 })).toEqual([]);
    proceed.open();
    expect(await running).toMatchObject({ status: "COMPLETED", attempt: 1 });
    expect(await store.getStepExecution(runId, "slow")).toMatchObject({
      status: "COMPLETED",
      durationMs: 2 * leaseMs,
    });
  });

  test("a wait for a retry continues on another worker and does not restart", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const failed = makeGate();
    const attempts: [string, number][] = [];
    const make = (name: string) =>
      defineWorkflow({ id: "w" })
        .step(
          defineStep({
            id: "s",
            input: z.null(),
            output: z.null(),
            retry: { maxRetries: 1, delayMs: 60_000 },
            run: (__, { attempt }) => {
              attempts.push([name, attempt]);
              if (attempt > 1) return;
              failed.open();
              throw new Error("first");
            },
          }),
        )
        .build();
    const first = makeEngine(store, { clock });
    first.register(make("first"));
    const runId = await first.start(make("first"), null);
    void first.work();
    await failed.promise;
    await vi.waitFor(async () =>
      expect(await store.listStepExecutions(runId)).toMatchObject([{ status: "RETRYING" }]),
    );
    // Closing does not wait for the next attempt but releases the run.
    await first.close();
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });

    clock.advance(60_000);
    const second = makeEngine(store, { clock });
    second.register(make("second"));
    expect(await second.recover()).toBe(1);
    expect(attempts).toEqual([
      ["first", 1],
      ["second", 2],
    ]);
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED" });
  });

  test("a reopened run restarts its failed step with all retries", async () => {
    const store = await open();
    let healthy = false;
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("first", (value) => {
          calls.push("first");
          return value + 1;
        }),
      )
      .step(
        defineStep({
          id: "second",
          input: z.number(),
          output: z.number(),
          retry: { maxRetries: 1, delayMs: 0 },
          run: (value, { attempt }) => {
            calls.push(`second ${attempt}`);
            if (!healthy) throw new Error("down");
            return value * 2;
          },
        }),
      )
      .build();
    const engine = makeEngine(store);
    const { runId, status } = await engine.run(workflow, 1);
    expect(status).toBe("FAILED");
    healthy = true;
    await store.reopenRun(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 4, error: null });
    expect(calls).toEqual(["first", "second 1", "second 2", "second 3"]);
    expect(await store.getStepExecution(runId, "second")).toMatchObject({
      status: "COMPLETED",
      attempt: 3,
      attemptOffset: 2,
      error: null,
    });
  });

  test("a parallel stage resumes with the steps that have not ended", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const stuck = makeGate();
    const calls: string[] = [];
    const make = (name: string, hang: boolean) =>
      defineWorkflow({ id: "w" })
        .parallel(
          numberStep("quick", (value) => {
            calls.push(`${name} quick`);
            return value + 1;
          }),
          numberStep("bad", () => {
            calls.push(`${name} bad`);
            throw new Error("bad");
          }),
          numberStep("slow", async (value) => {
            calls.push(`${name} slow`);
            if (hang) await stuck.promise;
            return value + 2;
          }),
        )
        .build();
    const first = makeEngine(store, { leaseMs, clock });
    first.register(make("first", true));
    const runId = await first.start(make("first", true), 1);
    void first.work();
    await vi.waitFor(async () =>
      expect((await store.listStepExecutions(runId)).map(({ status }) => status)).toEqual([
        "COMPLETED",
        "FAILED",
        "RUNNING",
      ]),
    );
    clock.advance(leaseMs);
    const second = makeEngine(store, { leaseMs, clock });
    second.register(make("second", false));
    await second.recover();
    expect(calls).toEqual(["first quick", "first bad", "first slow", "second slow"]);
    expect(await store.getRun(runId)).toMatchObject({
      status: "FAILED",
      error: { stepId: "bad", message: "bad" },
    });
  });

  test("a run that was never claimed keeps the steps that it was stored with", async () => {
    const store = await open();
    const calls: string[] = [];
    const step = <const Id extends string>(id: Id) =>
      numberStep(id, (value) => {
        calls.push(id);
        return value + 1;
      });
    const workflow = defineWorkflow({ id: "w" }).step(step("a")).step(step("b")).build();
    const engine = makeEngine(store).register(workflow);
    for (const idempotencyKey of [undefined, "key"]) {
      const { runId } = await store.createRun({ workflowId: "w", input: 1, idempotencyKey });
      await store.createStepExecution({ runId, stepId: "a", status: "COMPLETED", attempt: 1 });
      await store.saveStepOutput(runId, "a", 10);
      const run = await (idempotencyKey === undefined
        ? engine.wait(runId)
        : engine.run(workflow, 1, { idempotencyKey }));
      expect(run).toMatchObject({ runId, status: "COMPLETED", output: 11 });
    }
    expect(calls).toEqual(["b", "b"]);
  });

  test("a run of an unregistered version is not claimed and blocks no other run", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const step = numberStep("s", (value) => value + 1);
    const make = (version: string) => defineWorkflow({ id: "w", version }).step(step).build();
    const newer = makeEngine(store);
    const strangers: string[] = [];
    for (let index = 0; index < 5; index++) {
      strangers.push(await newer.start(make("2"), index));
      clock.advance(1);
    }
    const engine = makeEngine(store, { concurrency: 2, clock });
    engine.register(make("1"));
    const own = await engine.start(make("1"), 10);
    expect(await engine.wait(own)).toMatchObject({ status: "COMPLETED", output: 11 });
    await engine.recover();
    const met = await Promise.all(strangers.map((runId) => store.getRun(runId)));
    await engine.recover();
    await engine.close();
    expect(await Promise.all(strangers.map((runId) => store.getRun(runId)))).toEqual(met);
    for (const runId of strangers) {
      expect(await store.getRun(runId)).toMatchObject({
        status: "PENDING",
        attempt: 0,
        workerId: null,
        startedAt: null,
      });
    }
    newer.register(make("2"));
    expect(await newer.recover()).toBe(5);
  });

  test("two versions of a workflow run in parallel", async () => {
    const engine = makeEngine(await open());
    const [one, two] = await Promise.all([
      engine.run(adder("1", 1), 0),
      engine.run(adder("2", 2), 0),
    ]);
    expect([one.output, two.output]).toEqual([1, 2]);
    expect(() => engine.register(adder("1", 3))).toThrow(/is registered$/);
  });

  test("a worker does not claim a run of another workflow", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const step = numberStep("s", (value) => value);
    const runId = await engine.start(defineWorkflow({ id: "other" }).step(step).build(), 1);
    engine.register(defineWorkflow({ id: "mine" }).step(step).build());
    expect(await engine.recover()).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", revision: 1 });
  });
});
