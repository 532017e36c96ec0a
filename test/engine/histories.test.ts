import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { ConstraintError, StoreBusyError, StoreConnectionError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { StepAttempt, WorkflowRun } from "../../src/schema/rows.ts";
import { seed, seeded } from "../support/seed.ts";
import { observe } from "./support/observed-store.ts";

const startedAt = Date.UTC(2030, 0, 1);
const leaseMs = 1000;
const seconds = Number(process.env.HISTORY_SECONDS ?? 4);

/** The failure of an operation of the store. */
type Trouble = "busy" | "lost answer" | "failed" | "refused" | "slow" | "stolen" | "dead";
/** The behaviour of an attempt. */
type Act = "return" | "throw" | "sleep" | "pause" | "state";

const history = fc.record({
  troubles: fc.array(
    fc.record({
      at: fc.nat(30),
      trouble: fc.constantFrom<Trouble>(
        "busy",
        "lost answer",
        "failed",
        "refused",
        "slow",
        "stolen",
        "dead",
      ),
    }),
    { maxLength: 4 },
  ),
  acts: fc.array(fc.constantFrom<Act>("return", "return", "throw", "sleep", "pause", "state"), {
    minLength: 4,
    maxLength: 12,
  }),
  condition: fc.constantFrom("holds", "does not hold", "reads"),
  inParallel: fc.constantFrom("holds", "does not hold", "reads", "throws once"),
  cancelAfter: fc.option(fc.nat(6), { freq: 6 }),
  /** The turn in which each worker begins to close. */
  closeAfter: fc.option(fc.nat(12), { freq: 3 }),
  /** How often the run is retried after its end. */
  retries: fc.nat(2),
});

type History = typeof history extends fc.Arbitrary<infer Value> ? Value : never;

const isReading = (operation: string): boolean =>
  /^(get|list|count|has|claim|extend)/.test(operation);
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Time passes only when nothing else happens. */
const virtual = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "performance",
] as const;

/** Awaits the end of `work`. The next timer is due as soon as nothing else is. */
async function settle<T>(work: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = work.finally(() => (isSettled = true));
  settled.catch(() => {});
  for (let turns = 0; !isSettled; turns++) {
    assert(turns < 10_000, "a call never ends");
    await nextTurn();
    if (!isSettled) vi.advanceTimersToNextTimer();
  }
  return settled;
}

/** Plays one history with any number of workers until its run ends, and checks the invariants. */
async function play({
  troubles,
  acts,
  condition,
  inParallel,
  cancelAfter,
  closeAfter,
  retries,
}: History): Promise<WorkflowRun["status"]> {
  let skippedMs = 0;
  const clock = () => new Date(startedAt + performance.now() + skippedMs);
  const inner = new MemoryStore({ clock });
  const ended = new Set<string>();
  const begun: string[] = [];
  /** What a step or a condition has noticed. An error that it throws only fails the step. */
  const broken: string[] = [];
  /** The steps that have begun, and the conditions that were asked, since the run was last retried. */
  const begunSinceRetry = new Set<string>();
  let calls = 0;
  let answers = 0;
  const step = <const Id extends string>(id: Id) =>
    defineStep({
      id,
      input: z.unknown(),
      output: z.unknown(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (_, ctx) => {
        if (ended.has(id)) broken.push(`${id} runs again after its end`);
        begun.push(`${id} ${ctx.attempt}`);
        begunSinceRetry.add(id);
        const act = acts[calls++ % acts.length];
        if (act === "throw") throw new Error("no");
        if (act === "sleep") await ctx.sleep(3_600_000);
        if (act === "pause") await nextTurn();
        if (act === "state") await ctx.state.set("k", id);
        return id;
      },
    });
  const b = step("b");
  const g = step("g");
  const workflow = defineWorkflow({ id: "w" })
    .step(step("a"))
    .stepIf(
      async (__, { state }) => {
        begunSinceRetry.add("b");
        if (condition === "reads") await state.all();
        return condition !== "does not hold";
      },
      b,
      { otherwise: "no b" },
    )
    .stepIf(async (input, ctx) => {
      begunSinceRetry.add("g");
      if (!(await ctx.hasOutput(b))) broken.push("the step before a condition has no output");
      const read = [await ctx.output(b), await ctx.input(g)];
      if (read.some((value) => value !== input)) broken.push("a condition reads another input");
      return condition === "reads";
    }, g)
    .parallel(
      step("c"),
      stepIf(async (__, { state }) => {
        begunSinceRetry.add("d");
        if (inParallel === "reads") await state.all();
        if (inParallel === "throws once" && (answers += 1) === 1) throw new Error("no");
        return inParallel !== "does not hold";
      }, step("d")),
    )
    .stepIf(() => condition !== "does not hold", step("f"), { otherwise: "none" })
    .step(step("e"))
    .build();
  const { runId } = await inner.createRun({ workflowId: "w", input: 1 });

  const noteEnds = async (): Promise<void> => {
    for (const { stepId, status } of await inner.listStepExecutions(runId, { payloads: false })) {
      if (status === "COMPLETED" || status === "SKIPPED") ended.add(stepId);
    }
  };
  let operations = 0;
  let isRefused = false;
  const pending = new Map(troubles.map(({ at, trouble }) => [at, trouble]));
  /** A worker's store. After the worker's death, no operation takes effect. */
  const makeStore = (): { readonly store: MemoryStore; readonly isDead: () => boolean } => {
    let dead = false;
    const store = observe(inner, async (operation, carryOut) => {
      if (dead) throw new StoreBusyError("the process is gone");
      const trouble = operation === "claimRuns" ? undefined : pending.get(operations);
      if (operation !== "claimRuns") operations += 1;
      if (trouble === "slow") await nextTurn();
      if (trouble === "stolen") {
        skippedMs += 2 * leaseMs;
        await inner.claimRuns({ workerId: "thief", leaseMs, limit: 1 });
      }
      if (trouble === "busy") throw new StoreBusyError("busy");
      if (trouble === "dead") dead = true;
      // A constraint of the app.
      if (trouble === "refused" && operation === "batch") {
        isRefused = true;
        throw new ConstraintError({ kind: "trigger" });
      }
      if (trouble === "failed") {
        throw new StoreConnectionError({ reason: "failed", outcome: "none", retryable: false });
      }
      const result = await carryOut();
      if (!isReading(operation)) await noteEnds();
      if (trouble === "dead") throw new StoreBusyError("the process is gone");
      if (trouble === "lost answer") {
        throw new StoreConnectionError({ reason: "lost", outcome: "unknown", retryable: true });
      }
      return result;
    });
    return { store, isDead: () => dead };
  };

  let retriesLeft = retries;
  let wasCancelled = false;
  for (let workers = 0; ; workers++) {
    assert(workers < 90, "the run neither ends nor waits");
    const { store, isDead } = makeStore();
    const engine = new Engine(store, { clock, leaseMs }).register(workflow);
    let idle = false;
    void engine
      .recover()
      .catch(() => {})
      .finally(() => (idle = true));
    for (let turns = 0; !idle && !isDead(); turns++) {
      assert(turns < 10_000, "the worker does not end");
      if (turns === cancelAfter) await settle(engine.cancel(runId)).catch(() => {});
      // Only some workers close early, so that the run ends.
      if (turns === closeAfter && workers % 2 === 0) await settle(engine.close());
      const before = calls + operations;
      await nextTurn();
      if (calls + operations === before) vi.advanceTimersToNextTimer();
    }
    await settle(engine.close({ deadlineMs: 0 }));
    const run = await inner.getRun(runId);
    wasCancelled ||= run.status === "CANCELLED";
    const failed = run.status === "FAILED" ? (run.error as { stepId?: string }).stepId : undefined;
    if (failed !== undefined) {
      assert(begunSinceRetry.has(failed), `the run fails without a new attempt of ${failed}`);
    }
    if (["COMPLETED", "FAILED", "CANCELLED"].includes(run.status)) {
      if (run.status === "COMPLETED" || retriesLeft === 0) break;
      retriesLeft -= 1;
      begunSinceRetry.clear();
      const retrying = new Engine(inner, { clock });
      await settle(retrying.retry(runId));
      await settle(retrying.close());
      continue;
    }
    const waitsUntil = run.status === "RUNNING" ? run.leaseExpiresAt : (run.wakeAt ?? clock());
    assert(waitsUntil, "a run that has not ended waits for a time that is stored");
    skippedMs += Math.max(1, waitsUntil.getTime() - clock().getTime() + 1);
  }

  const late = new Engine(inner, { clock, leaseMs }).register(workflow);
  // The process that cancelled a run may not have cancelled its steps. A wait for the run repairs that.
  await settle(late.wait(runId));
  const { bundles } = await inner.readBundles();
  const [bundle] = bundles;
  if (bundle === undefined) throw new Error("the run is gone");
  assert.equal(bundle.run.progress === 1, bundle.run.status === "COMPLETED");
  for (const { stepId, status } of bundle.steps) {
    // A row that cannot be written stays as it is.
    const open = isRefused && bundle.run.status === "FAILED" ? ["RUNNING", "RETRYING"] : [];
    const allowed = ["COMPLETED", "SKIPPED", "FAILED", "CANCELLED", ...open];
    assert(allowed.includes(status), `${stepId} is ${status}`);
  }
  for (const { stepId, attempt } of bundle.steps) {
    const numbers: StepAttempt[] = bundle.attempts.filter((each) => each.stepId === stepId);
    assert.equal(new Set(numbers.map((each) => each.attempt)).size, numbers.length);
    const tried = begun
      .filter((each) => each.startsWith(`${stepId} `))
      .map((each) => Number(each.slice(2)));
    for (const [index, number] of tried.entries()) {
      const increase = number - (tried[index - 1] ?? 0);
      // Numbers may be skipped: an attempt may be cancelled before it calls its step, and a worker that closes, or claims a
      // retried run, cannot know whether an earlier one had begun a step without a row.
      const isUncertain = troubles.length > 0 ? retries > 0 || closeAfter !== null : wasCancelled;
      assert(isUncertain || increase <= 1, `attempts of ${stepId}: ${tried.join()}`);
      assert(number >= (tried[index - 1] ?? 1), `attempts of ${stepId}: ${tried.join()}`);
    }
    // Only its worker knows of an attempt that has just begun. If the worker dies, or its store fails while another process
    // cancels the run, the attempt is not recorded.
    if (!wasCancelled || troubles.length === 0) {
      assert(
        Math.max(0, ...tried) <= attempt,
        `${stepId} is at attempt ${attempt}: ${tried.join()}`,
      );
    }
  }
  assert.deepEqual(broken, []);
  // A finished run never changes.
  await settle(late.recover());
  await settle(late.close({ deadlineMs: 0 }));
  assert.deepEqual((await inner.readBundles()).bundles, bundles);
  return bundle.run.status;
}

test(
  `random histories on a store that fails keep the engine's promises (seed ${seed})`,
  async () => {
    const played = { COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
    await fc.assert(
      fc.asyncProperty(history, async (one) => {
        vi.useFakeTimers({ toFake: [...virtual] });
        const status = await play(one).finally(() => vi.useRealTimers());
        played[status as keyof typeof played] += 1;
      }),
      {
        ...seeded,
        numRuns: 1_000_000,
        interruptAfterTimeLimit: seconds * 1000,
        markInterruptAsFailure: false,
      },
    );
    // Many histories of each kind, so that none is true of nothing.
    for (const count of Object.values(played)) expect(count).toBeGreaterThan(seconds);
  },
  seconds * 1000 + 60_000,
);
