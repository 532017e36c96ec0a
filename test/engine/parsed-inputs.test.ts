import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const hour = 3_600_000;
const keyed = z.object({ key: z.string().default(() => randomUUID()) });

describe.each(stores)("on %s", (_, open) => {
  test("an input that a timed-out attempt parses late does not replace the stored one", async () => {
    const late = makeGate();
    const seen: number[] = [];
    let parses = 0;
    const slow = z.number().transform(async () => {
      parses += 1;
      const own = parses;
      if (own === 1) await late.promise;
      return own;
    });
    const step = defineStep({
      id: "s",
      input: slow,
      output: z.number(),
      timeoutMs: 200,
      retry: { maxRetries: 2, delayMs: 0 },
      run: async (value, { attempt }) => {
        seen.push(value);
        late.open();
        if (attempt === 3) return value;
        await new Promise((resolve) => setImmediate(resolve));
        throw new Error("again");
      },
    });
    const first = numberStep("first", (value) => value);
    const workflow = defineWorkflow({ id: "w" }).step(first).step(step).build();
    expect((await makeEngine(await open()).run(workflow, 1)).status).toBe("COMPLETED");
    expect(seen).toEqual([2, 2]);
  });

  test("a random default is computed once for all attempts and stored before the step begins", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const seen: string[] = [];
    const stored: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: keyed,
      output: z.string(),
      retry: { maxRetries: 1, delayMs: 2 * hour },
      run: async ({ key }, { attempt, runId, sleep }) => {
        seen.push(key);
        stored.push((await store.getStepExecution(runId, "s")).input);
        await sleep(hour);
        if (attempt === 1) throw new Error("again");
        return key;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).parallel(step, numberlessStep).build();
    const first = makeEngine(store, { clock });
    const runId = await first.start(workflow, {});
    for (let time = 0; time < 5; time++) {
      const engine = makeEngine(store, { clock }).register(workflow);
      await engine.recover();
      await engine.close();
      clock.advance(hour);
    }
    const run = await store.getRun(runId);
    expect(run).toMatchObject({ status: "COMPLETED", output: { s: seen[0] } });
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(new Set(seen).size).toBe(1);
    expect(stored).toEqual(seen.map((key) => ({ key })));
  });

  test("an input schema may throw at its own result, or at a null for a missing input", async () => {
    const engine = makeEngine(await open());
    const parsed = z.preprocess((text) => JSON.parse(String(text)) as unknown, z.number().array());
    const named = z.preprocess(
      (value = { name: "x" }) => (value as { name: string }).name,
      z.string(),
    );
    const run = async (input: z.ZodType, value: unknown) => {
      const step = defineStep({ id: "s", input, output: z.unknown(), run: (given) => given });
      const workflow = defineWorkflow({ id: randomUUID() }).step(step).build();
      return (await engine.run(workflow, value)).output;
    };
    expect(await run(parsed, "[1, 2]")).toEqual([1, 2]);
    expect(await run(named, undefined)).toBe("x");
  });

  test("an input schema may accept an input only once", async () => {
    const seen = new Set<number>();
    const input = z
      .number()
      .refine((value) => !seen.has(value) && seen.add(value))
      .transform((value) => ({ value }));
    const once = defineStep({ id: "once", input, output: z.number(), run: ({ value }) => value });
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("first", (value) => value))
      .step(once)
      .build();
    expect(await makeEngine(await open()).run(workflow, 1)).toMatchObject({ output: 1 });
  });

  test("a rule that depends on the time is not checked again after a sleep or a failure", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const soon = z.string().refine((text) => new Date(text) > clock(), "must be in the future");
    const make = <const Id extends string>(id: Id) =>
      defineStep({
        id,
        input: soon,
        output: soon,
        retry: { maxRetries: 1, delayMs: hour },
        run: async (__, { attempt, sleep }) => {
          await sleep(hour);
          if (attempt === 1) throw new Error("again");
          return new Date(clock().getTime() + hour / 2).toISOString();
        },
      });
    const workflow = defineWorkflow({ id: "w" }).step(make("a")).step(make("b")).build();
    const first = makeEngine(store, { clock });
    const input = new Date(clock().getTime() + hour / 2).toISOString();
    const runId = await first.start(workflow, input);
    for (let time = 0; time < 6; time++) {
      const engine = makeEngine(store, { clock }).register(workflow);
      await engine.recover();
      await engine.close();
      clock.advance(hour);
    }
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED", error: null });
  });

  test("a reopened run uses an input that was corrected, also after a sleep", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const seen: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.object({ to: z.string(), retries: z.number().default(3) }),
      output: z.null(),
      run: async (input, { sleep }) => {
        seen.push(input);
        if (input.to === "wrong") throw new Error("no such address");
        await sleep(hour);
        return null;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const first = makeEngine(store, { clock });
    const { runId } = await first.run(workflow, { to: "wrong" });
    // Otherwise it might claim the run before the input is corrected.
    await first.close();
    await store.reopenRun(runId);
    await store.updateRun(runId, { input: { to: "right" } });
    for (let time = 0; time < 2; time++) {
      const engine = makeEngine(store, { clock }).register(workflow);
      await engine.recover();
      await engine.close();
      clock.advance(hour);
    }
    expect(seen.slice(1)).toEqual([
      { to: "right", retries: 3 },
      { to: "right", retries: 3 },
    ]);
    expect((await store.getRun(runId)).status).toBe("COMPLETED");
  });

  test("a value that JSON cannot represent is parsed in each attempt", async () => {
    const seen: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.coerce.date(),
      output: z.null(),
      retry: { maxRetries: 2, delayMs: 0 },
      run: (date, { attempt }) => {
        seen.push(date instanceof Date);
        if (attempt < 3) throw new Error("again");
        return null;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const run = await makeEngine(await open()).run(workflow, "2030-01-01");
    expect(run.status).toBe("COMPLETED");
    expect(seen).toEqual([true, true, true]);
  });
});

const numberlessStep = defineStep({
  id: "other",
  input: z.object({}),
  output: z.null(),
  run: () => null,
});

describe.each(stores)("the number of an attempt on %s", (_, open) => {
  /** Interrupts the first step of a run in its first milliseconds, before its row is written. */
  async function leaveEarly(leave: "cancel" | "close") {
    const store = await open();
    const numbers: number[] = [];
    const blocked = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", async (value, { attempt }) => {
          numbers.push(attempt);
          if (numbers.length === 1) {
            blocked.open();
            await new Promise(() => {});
          }
          return value;
        }),
      )
      .build();
    const first = makeEngine(store).register(workflow);
    const runId = await first.start(workflow, 1);
    void first.work();
    await blocked.promise;
    if (leave === "close") await first.close({ deadlineMs: 0 });
    else {
      // Another process cancels and reopens the run before its worker notices.
      await store.updateRun(runId, { status: "CANCELLED" });
      await store.reopenRun(runId);
    }
    const second = makeEngine(store).register(workflow);
    const { status } = await second.wait(runId);
    return { numbers, status };
  }

  test("is not reused after a cancellation in the first milliseconds", async () => {
    expect(await leaveEarly("cancel")).toEqual({ numbers: [1, 2], status: "COMPLETED" });
  });

  test("stays the same when the run is released in the first milliseconds", async () => {
    expect(await leaveEarly("close")).toEqual({ numbers: [1, 1], status: "COMPLETED" });
  });
});
