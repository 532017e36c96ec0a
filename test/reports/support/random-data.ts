import fc from "fast-check";
import type { RunBundle } from "../../../src/model/bundles.ts";
import type {
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowState,
} from "../../../src/schema/rows.ts";
import { runStatuses, stepStatuses } from "../../../src/statuses.ts";

const hourMs = 3_600_000;
const near = (center: number, hours: number) =>
  fc
    .tuple(fc.integer({ min: -hours, max: hours }), fc.constantFrom(0, 1, 999, hourMs - 1))
    .map(([hour, ms]) => new Date(center + hour * hourMs + ms));

/** Zones whose clocks change at night, at midnight, by half an hour, or in 1972 by an odd number of seconds. */
export const zones = [
  "UTC",
  "Europe/Berlin",
  "America/Sao_Paulo",
  "America/Havana",
  "Asia/Kathmandu",
  "Australia/Lord_Howe",
  "Africa/Monrovia",
  "America/St_Johns",
] as const;

/** When their clocks change. */
const changes = [
  "2025-03-30T01:00Z",
  "2025-10-26T01:00Z",
  "2018-02-18T02:00Z",
  "2018-11-04T03:00Z",
  "2025-03-09T05:00Z",
  "2025-11-02T05:00Z",
  "2025-04-05T15:00Z",
  "1972-01-07T00:44:30Z",
  "2010-11-07T02:31Z",
].map((time) => Date.parse(time));

/**
 * Times before and after 1970 and before and after the changes of clocks, on and off the borders of hours and days, few
 * enough to coincide.
 */
const times = fc.oneof(
  { weight: 5, arbitrary: near(0, 60) },
  { weight: 1, arbitrary: fc.constantFrom(...changes).chain((change) => near(change, 3)) },
);
const maybeTime = fc.option(times, { freq: 4 });
const workflowIds = fc.constantFrom("a", "b", "Ä😀");
const attempts = fc.integer({ min: 0, max: 4 });
const errors = fc.constantFrom<unknown>(
  null,
  "text",
  ["list"],
  { code: "E_A", name: "Error", message: "m" },
  { code: "E_B", name: "Error" },
  { code: 42, name: "TypeError" },
  { code: "42", name: "TypeError" },
  { code: true, name: null },
  { code: 1, name: "" },
  { code: "1", name: "null" },
  { code: '"1"', name: { a: [1] } },
  { code: null, name: "true" },
  { name: "Error", message: "m" },
  { message: "ü" },
);
const payloads = fc.constantFrom<unknown>(null, 1, "text", { words: "äöü 😀" }, [1, 2, 3]);

const runs = fc.record({
  workflowId: workflowIds,
  workflowVersion: fc.constantFrom("1", "2"),
  status: fc.constantFrom(...runStatuses),
  progress: fc.constant(0),
  input: payloads,
  output: payloads,
  error: errors,
  context: payloads,
  tags: fc.option(fc.constant({ a: "b" })),
  resourceId: fc.option(fc.constantFrom("r1", "r2")),
  idempotencyKey: fc.constant(null),
  workerId: fc.option(fc.constant("w")),
  claimedAt: maybeTime,
  leaseExpiresAt: maybeTime,
  wakeAt: fc.option(times),
  deadlineAt: fc.constant(null),
  timeoutMs: fc.constant(null),
  attempt: attempts,
  lostLeases: fc.constant(0),
  revision: fc.constant(1),
  stateRevision: fc.constant(0),
  createdAt: times,
  startedAt: maybeTime,
  completedAt: maybeTime,
  updatedAt: times,
});

const steps = fc
  .record({
    executionIndex: fc.integer({ min: 0, max: 2 }),
    status: fc.constantFrom(...stepStatuses),
    attempt: attempts,
    attemptOffset: fc.constant(0),
    sleepCount: fc.constant(0),
    inputFrom: fc.option(fc.constantFrom<(string | string[])[]>("first", ["first", "second"])),
    wakeAt: fc.constant(null),
    input: payloads,
    error: errors,
    durationMs: fc.option(fc.integer({ min: 0, max: 12 }), { freq: 6 }),
    createdAt: times,
    startedAt: maybeTime,
    completedAt: maybeTime,
    updatedAt: times,
  })
  .map((step) => Object.assign(step, step.inputFrom !== null && { input: null }));

const tries = fc.record({
  attempt: fc.constant(1),
  status: fc.constantFrom(...stepStatuses),
  error: errors,
  workerId: fc.constant(null),
  startedAt: maybeTime,
  completedAt: maybeTime,
});

const values = fc.record({ value: payloads, at: times });
const keys = fc.constantFrom("first", "second", "third");

function children<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<(readonly [string, Value])[]> {
  return fc.uniqueArray(fc.tuple(keys, value), { maxLength: 3, selector: ([key]) => key });
}

/** Runs with their steps, attempts, outputs and state. */
export const randomBundles: fc.Arbitrary<RunBundle[]> = fc
  .array(
    fc.record({
      run: runs,
      steps: children(steps),
      attempts: children(tries),
      outputs: children(values),
      state: children(values),
    }),
    { maxLength: 25, size: "max" },
  )
  .map((bundles) =>
    bundles.map(({ run, steps: stepsById, attempts: triesById, outputs, state }, index) => {
      const runId = `run-${index}`;
      return {
        run: { runId, ...run },
        steps: stepsById.map(([stepId, step]) => ({ runId, stepId, ...step })),
        attempts: triesById.map(([stepId, attempt]) => ({ runId, stepId, ...attempt })),
        outputs: outputs.map(([stepId, { value, at }]) => ({
          runId,
          stepId,
          output: value,
          createdAt: at,
          updatedAt: at,
        })),
        state: state.map(([key, { value, at }]) => ({
          runId,
          key,
          value,
          revision: 1,
          updatedAt: at,
        })),
      };
    }),
  );

/** The rows of each table. */
export interface Rows {
  readonly runs: readonly WorkflowRun[];
  readonly steps: readonly StepExecution[];
  readonly attempts: readonly StepAttempt[];
  readonly outputs: readonly StepOutput[];
  readonly state: readonly WorkflowState[];
}

export const rowsOf = (bundles: readonly RunBundle[]): Rows => ({
  runs: bundles.map(({ run }) => run),
  steps: bundles.flatMap((bundle) => bundle.steps),
  attempts: bundles.flatMap((bundle) => bundle.attempts),
  outputs: bundles.flatMap((bundle) => bundle.outputs),
  state: bundles.flatMap((bundle) => bundle.state),
});

const noFilter = {
  workflowId: undefined,
  workflowVersion: undefined,
  resourceId: undefined,
  tags: undefined,
  since: undefined,
  until: undefined,
};
const everyFilter = fc
  .record({
    workflowId: fc.option(workflowIds, { nil: undefined }),
    workflowVersion: fc.option(fc.constantFrom("1", "2"), { nil: undefined, freq: 2 }),
    resourceId: fc.option(fc.constantFrom("r1", "r2"), { nil: undefined, freq: 1 }),
    tags: fc.option(fc.constantFrom({ a: "b" }, {}), { nil: undefined, freq: 1 }),
    since: fc.option(times, { nil: undefined, freq: 3 }),
    until: fc.option(times, { nil: undefined, freq: 3 }),
  })
  .filter(({ since, until }) => since === undefined || until === undefined || since < until);

/** Reports read a whole index if there is no filter, or only a workflow. */
export const randomFilter = fc.oneof(
  { weight: 3, arbitrary: everyFilter },
  { weight: 1, arbitrary: everyFilter.map(() => noFilter) },
  {
    weight: 1,
    arbitrary: everyFilter.map(({ workflowId }) => Object.assign({ ...noFilter }, { workflowId })),
  },
);

export type Filter = typeof randomFilter extends fc.Arbitrary<infer Value> ? Value : never;
export const randomTime = times;
