import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { ConditionContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { ConstraintError, StoreBusyError, StoreConnectionError } from "../../src/errors.ts";
import { isFinalStepStatus } from "../../src/model/transitions.ts";
import type { RunStatus } from "../../src/statuses.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { playBatches } from "../support/histories.ts";
import { delay, makeVirtualClock, playOut } from "../support/virtual-time.ts";
import { observe } from "./support/observed-store.ts";

const leaseMs = 60;
/** The duration of slow things. The engine writes rows of running steps earlier, and extends the lease. */
const slowMs = 20;
const seconds = Number(process.env.HISTORY_SECONDS ?? 4);

/** The failure of an operation of the store. */
const failures = ["busy", "lost answer", "failed", "refused", "slow", "stolen", "dead"] as const;
/** Before an operation, the worker begins to close or to cancel the run, or another process cancels it. */
const calls = ["close", "cancel", "cancel elsewhere"] as const;
/** The behaviour of an attempt. */
type Act = "return" | "throw" | "sleep" | "pause" | "state";

const history = fc.record({
  troubles: fc.array(
    fc.record({ at: fc.nat(24), trouble: fc.constantFrom(...failures, ...failures, ...calls) }),
    { maxLength: 4 },
  ),
  acts: fc.array(fc.constantFrom<Act>("return", "return", "throw", "sleep", "pause", "state"), {
    minLength: 4,
    maxLength: 12,
  }),
  shape: fc.constantFrom("sequence", "conditions", "parallel", "all"),
  condition: fc.constantFrom("holds", "does not hold", "reads"),
  inParallel: fc.constantFrom("holds", "does not hold", "reads", "throws once"),
  /** How often the run is retried after its end. */
  retries: fc.nat(2),
});

type History = typeof history extends fc.Arbitrary<infer Value> ? Value : never;

/** Plays one history with any number of workers until its run ends, and checks the invariants. */
async function play({
  troubles,
  acts,
  shape,
  condition,
  inParallel,
  retries,
}: History): Promise<RunStatus> {
  const clock = makeVirtualClock();
  const inner = new MemoryStore({ clock });
  const ended = new Set<string>();
  const begun: { readonly id: string; readonly attempt: number; readonly act: Act | undefined }[] =
    [];
  /** What a step or a condition has noticed. An error that it throws only fails the step. */
  const broken: string[] = [];
  /** The steps that have begun, and the conditions that were asked, since the run was last retried. */
  const begunSinceRetry = new Set<string>();
  /** Calling `expect` each time would take as long as the run itself. */
  const check = (holds: boolean, what: string): void => {
    if (!holds) broken.push(`violated: ${what}`);
  };
  let answers = 0;
  const step = <const Id extends string>(id: Id) =>
    defineStep({
      id,
      input: z.unknown(),
      output: z.unknown(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (_, ctx) => {
        if (ended.has(id)) broken.push(`${id} runs again after its end`);
        const act = acts[begun.length % acts.length];
        begun.push({ id, attempt: ctx.attempt, act });
        begunSinceRetry.add(id);
        if (act === "throw") throw new Error("no");
        if (act === "sleep") await ctx.sleep(3_600_000);
        if (act === "pause") await delay(slowMs);
        if (act === "state") await ctx.state.set("k", id);
        return id;
      },
    });
  const b = step("b");
  const g = step("g");
  const readsState = async (__: unknown, { state }: ConditionContext): Promise<boolean> => {
    begunSinceRetry.add("b");
    if (condition === "reads") await state.all();
    return condition !== "does not hold";
  };
  const readsStepBefore = async (input: unknown, ctx: ConditionContext): Promise<boolean> => {
    begunSinceRetry.add("g");
    if (!(await ctx.hasOutput(b))) broken.push("the step before a condition has no output");
    const read = [await ctx.output(b), await ctx.input(g)];
    if (read.some((value) => value !== input)) broken.push("a condition reads another input");
    return condition === "reads";
  };
  const d = stepIf(async (__: unknown, { state }) => {
    begunSinceRetry.add("d");
    if (inParallel === "reads") await state.all();
    if (inParallel === "throws once" && (answers += 1) === 1) throw new Error("no");
    return inParallel !== "does not hold";
  }, step("d"));
  const holds = (): boolean => condition !== "does not hold";
  const start = defineWorkflow({ id: "w" });
  const shapes = {
    sequence: () =>
      start.step(step("a")).stepIf(holds, step("f"), { otherwise: 0 }).step(step("e")),
    conditions: () => start.stepIf(readsState, b, { otherwise: "no b" }).stepIf(readsStepBefore, g),
    parallel: () => start.parallel(step("c"), d).step(step("e")),
    all: () =>
      start
        .step(step("a"))
        .stepIf(readsState, b, { otherwise: "no b" })
        .stepIf(readsStepBefore, g)
        .parallel(step("c"), d)
        .stepIf(holds, step("f"), { otherwise: "none" })
        .step(step("e")),
  };
  const workflow = shapes[shape]().build();
  const { runId } = await inner.createRun({ workflowId: "w", input: 1 });

  let operations = 0;
  let total = 0;
  let isRefused = false;
  const pending = new Map(troubles.map(({ at, trouble }) => [at, trouble]));
  const hasClosed = troubles.some(({ trouble }) => trouble === "close");
  const hasFailures = troubles.some(({ trouble }) => !calls.some((call) => call === trouble));
  /** A worker. After its death, no operation takes effect. */
  const makeWorker = (workerId: string) => {
    let die = (): void => {};
    let isDead = false;
    const death = new Promise<void>((resolve) => (die = resolve));
    const store = observe(inner, async (operation, carryOut) => {
      if (isDead) throw new StoreBusyError("the process is gone");
      // A worker that never waits would block the event loop.
      if ((total += 1) > 5000) return new Promise(() => {});
      const trouble = operation === "claimRuns" ? undefined : pending.get(operations);
      if (operation !== "claimRuns") operations += 1;
      if (trouble === "close") void engine.close();
      if (trouble === "cancel") void engine.cancel(runId).catch(() => {});
      if (trouble === "cancel elsewhere")
        void new Engine(inner, { clock }).cancel(runId).catch(() => {});
      if (trouble === "slow") await delay(slowMs);
      if (trouble === "stolen") {
        clock.skip(2 * leaseMs);
        await inner.claimRuns({ workerId: "thief", leaseMs, limit: 1 });
      }
      if (trouble === "busy") throw new StoreBusyError("busy");
      if (trouble === "dead") {
        isDead = true;
        die();
      }
      // A constraint of the app.
      if (trouble === "refused" && operation === "batch") {
        isRefused = true;
        throw new ConstraintError({ kind: "trigger" });
      }
      if (trouble === "failed") {
        throw new StoreConnectionError({ reason: "failed", outcome: "none", retryable: false });
      }
      const before = operation === "batch" ? await inner.getRun(runId, { payloads: false }) : null;
      const result = await carryOut();
      const isHeld = before?.status !== "RUNNING" || before.workerId === workerId;
      check(isHeld, "a worker that lost the run changes nothing");
      const rows =
        operation === "batch" ? await inner.listStepExecutions(runId, { payloads: false }) : [];
      for (const { stepId, status } of rows) {
        if (status === "COMPLETED" || status === "SKIPPED") ended.add(stepId);
      }
      if (trouble === "dead") throw new StoreBusyError("the process is gone");
      if (trouble === "lost answer") {
        throw new StoreConnectionError({ reason: "lost", outcome: "unknown", retryable: true });
      }
      return result;
    });
    const engine = new Engine(store, { clock, leaseMs, workerId }).register(workflow);
    return { engine, death };
  };

  let retriesLeft = retries;
  let wasCancelled = false;
  for (let workers = 0; ; workers++) {
    if (workers === 90) throw new Error("the run neither ends nor waits");
    const { engine, death } = makeWorker(`worker-${workers}`);
    await Promise.race([engine.recover().catch(() => {}), death]);
    await engine.close({ deadlineMs: 0 });
    const run = await inner.getRun(runId);
    wasCancelled ||= run.status === "CANCELLED";
    const failed = run.status === "FAILED" ? (run.error as { stepId?: string }).stepId : undefined;
    check(
      failed === undefined || begunSinceRetry.has(failed),
      `the run fails without a new attempt of ${failed}`,
    );
    if (["COMPLETED", "FAILED", "CANCELLED"].includes(run.status)) {
      if (run.status === "COMPLETED" || retriesLeft === 0) break;
      retriesLeft -= 1;
      begunSinceRetry.clear();
      const retrying = new Engine(inner, { clock });
      await retrying.retry(runId);
      await retrying.close();
      continue;
    }
    const waitsUntil = run.status === "RUNNING" ? run.leaseExpiresAt : (run.wakeAt ?? clock());
    if (waitsUntil === null) throw new Error("a run that has not ended waits for no stored time");
    clock.skip(Math.max(1, waitsUntil.getTime() - clock().getTime() + 1));
  }

  const late = new Engine(inner, { clock, leaseMs }).register(workflow);
  // The process that cancelled a run may not have cancelled its steps. A wait for the run repairs that.
  await late.wait(runId);
  const { bundles } = await inner.readBundles();
  const [bundle] = bundles;
  if (bundle === undefined) throw new Error("the run is gone");
  const { run, steps } = bundle;
  check((run.progress === 1) === (run.status === "COMPLETED"), "the progress fits the status");
  for (const { stepId, status, attempt } of steps) {
    // A row that cannot be written stays as it is.
    const mayBeOpen = isRefused && run.status === "FAILED";
    check(isFinalStepStatus(status) || mayBeOpen, `${stepId} has ended`);
    const numbers = bundle.attempts.filter((each) => each.stepId === stepId);
    const distinct = new Set(numbers.map((each) => each.attempt));
    check(distinct.size === numbers.length, `the attempts of ${stepId} have different numbers`);
    const tried = begun.filter(({ id }) => id === stepId);
    const last = tried.reduce(
      (previous, { attempt: number, act }) => {
        // Numbers may be skipped: an attempt may be cancelled before it calls its step, and a worker that closes, or claims a
        // retried run, cannot know whether an earlier one had begun a step without a row.
        const isUncertain = hasFailures ? retries > 0 || hasClosed : wasCancelled;
        check(
          number >= previous.least && (isUncertain || number <= previous.number + 1),
          `attempts of ${stepId} are numbered ${tried.map((each) => each.attempt).join()}`,
        );
        // An attempt that slept or was lost continues with its number.
        return { number, least: act === "throw" && !hasFailures ? number + 1 : number };
      },
      { number: 0, least: 1 },
    );
    // Only its worker knows of an attempt that has just begun. If the worker dies, or its store fails while another process
    // cancels the run, the attempt is not recorded.
    const isRecorded = last.number <= attempt;
    check(
      isRecorded || (wasCancelled && hasFailures),
      `attempt ${attempt} is the last of ${stepId}`,
    );
  }
  // A finished run never changes.
  await late.recover();
  await late.close({ deadlineMs: 0 });
  const after = (await inner.readBundles()).bundles;
  check(isDeepStrictEqual(after, bundles), "a finished run does not change");
  expect(broken).toEqual([]);
  return run.status;
}

test(
  "random histories on a store that fails keep the engine's promises",
  async () => {
    const ended = new Map<string, number>();
    const property = fc.asyncProperty(history, async (one) => {
      const status = await playOut(() => play(one));
      ended.set(status, (ended.get(status) ?? 0) + 1);
    });
    await playBatches(property, seconds);
    // Many histories of each kind, so that none is true of nothing.
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"]) {
      expect(ended.get(status), status).toBeGreaterThan(seconds);
    }
  },
  seconds * 1000 + 60_000,
);
