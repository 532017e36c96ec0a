import { describe, expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { stores } from "./support/stores.ts";

const hour = 3_600_000;
const leaseMs = 30_000;

/** The effects of the steps in all workers. */
interface Log {
  readonly calls: string[];
  /** The earliest time at which the sleeping step may continue. */
  readonly sleep: { until: number | null };
}

/** A run with state, a retry, a sleep, a parallel stage with conditions, and a skipped step. */
function makeWorkflow(clock: () => Date, { calls, sleep }: Log) {
  const begin = (name: string): void => void calls.push(name);
  return defineWorkflow({ id: "w" })
    .step(
      numberStep("first", async (value, ctx) => {
        begin("first");
        await ctx.state.set("seen", value);
        return value + 1;
      }),
    )
    .stepIf(
      () => false,
      numberStep("skipped", () => -1),
    )
    .parallel(
      numberStep("sleeper", async (value, ctx) => {
        begin("sleeper");
        sleep.until ??= clock().getTime() + hour;
        await ctx.sleep(hour);
        if (clock().getTime() < sleep.until) throw new Error("woken too early");
        begin("woken");
        return value + 10;
      }),
      stepIf(
        async (_, ctx) => (await ctx.state.get("seen")) === 1,
        defineStep({
          id: "flaky",
          input: z.number(),
          output: z.number().nullable(),
          retry: { maxRetries: 1, delayMs: 2 * hour },
          run: (value, { attempt }) => {
            begin(`flaky ${attempt}`);
            if (attempt === 1) throw new Error("again");
            return value + 100;
          },
        }),
      ),
      stepIf(
        () => false,
        numberStep("idle", () => -1),
        { otherwise: 1000 },
      ),
    )
    .step(
      defineStep({
        id: "last",
        input: z.object({ sleeper: z.number(), flaky: z.number().nullable(), idle: z.number() }),
        output: z.number(),
        run: async ({ sleeper, flaky, idle }, ctx) => {
          begin("last");
          return sleeper + (flaky ?? 0) + idle + Number(await ctx.state.get("seen"));
        },
      }),
    )
    .build();
}

describe.each(stores)("on %s", (place, open) => {
  /** Runs the workflow; the worker dies at its operation number `point`, before or after it took place. */
  async function runWithCrash(point: number, takesPlace: boolean) {
    const clock = makeClock();
    const store = await open(clock);
    const log: Log = { calls: [], sleep: { until: null } };
    const { calls } = log;
    const runId = await makeEngine(store, { clock }).start(makeWorkflow(clock, log), 1);
    let operations = 0;
    const gone = makeGate();
    const dying = observe(store, async (_operation, carryOut) => {
      operations += 1;
      if (operations === point && takesPlace) await carryOut();
      if (operations >= point) {
        gone.open();
        throw new Error("the process is gone");
      }
      return carryOut();
    });
    let crashed = false;
    const endedBefore = new Set<string>();
    for (let rounds = 0; rounds < 20; rounds++) {
      const engine = makeEngine(crashed ? store : dying, { clock, leaseMs });
      engine.register(makeWorkflow(clock, log));
      await Promise.race([engine.recover(), ...(crashed ? [] : [gone.promise])]);
      // A dead worker does not release anything.
      if (operations < point || crashed) await engine.close();
      else void engine.close({ deadlineMs: 0 });
      if (!crashed && operations >= point) {
        crashed = true;
        for (const { stepId, status } of await store.listStepExecutions(runId)) {
          if (status === "COMPLETED") endedBefore.add(stepId);
        }
        calls.push("crash");
      }
      const { status, wakeAt, leaseExpiresAt } = await store.getRun(runId);
      if (status === "COMPLETED") return { store, runId, calls, crashed, endedBefore };
      const next = wakeAt !== null && status === "PENDING" ? wakeAt : leaseExpiresAt;
      clock.advance(Math.max(0, (next?.getTime() ?? 0) - clock().getTime()));
    }
    throw new Error(`the run has not ended: ${calls.join(", ")}`);
  }

  const moments: readonly [string, boolean][] = [
    ["after it took place", true],
    ["before it took place", false],
  ];
  // On a file, the commit can fail in addition.
  test.each(moments.slice(0, place === "memory" ? 2 : 1))(
    "a worker that dies at any operation, %s, loses nothing",
    async (_, takesPlace) => {
      let crashed = true;
      for (let point = 1; crashed; point++) {
        const outcome = await runWithCrash(point, takesPlace);
        crashed = outcome.crashed;
        const { store, runId, calls, endedBefore } = outcome;
        const told = `at operation ${point}: ${calls.join(", ")}`;
        const run = await store.getRun(runId);
        expect(run, told).toMatchObject({ output: 1115, progress: 1, wakeAt: null, error: null });
        const steps = await store.listStepExecutions(runId);
        expect(
          steps.map(({ stepId, status, attempt }) => [stepId, status, attempt]),
          told,
        ).toEqual([
          ["first", "COMPLETED", 1],
          ["skipped", "SKIPPED", 0],
          ["sleeper", "COMPLETED", 1],
          ["flaky", "COMPLETED", 2],
          ["idle", "SKIPPED", 0],
          ["last", "COMPLETED", 1],
        ]);
        const attempts = await store.listStepAttempts(runId);
        expect(
          attempts.map(({ stepId, status, attempt }) => [stepId, status, attempt]),
          told,
        ).toEqual([
          ["flaky", "FAILED", 1],
          ["flaky", "COMPLETED", 2],
        ]);
        const after = calls.slice(calls.indexOf("crash") + 1);
        for (const stepId of crashed ? endedBefore : []) {
          expect(
            after.filter((call) => call.split(" ")[0] === stepId),
            told,
          ).toEqual([]);
        }
      }
    },
  );
});
