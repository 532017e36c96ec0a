import * as z from "zod/mini";
import { InvalidArgumentError } from "../errors.ts";
import type {
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowState,
} from "../schema/rows.ts";
import {
  stepAttemptSchema,
  stepExecutionSchema,
  stepOutputSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { compareText } from "./cursors.ts";
import { withoutDerivedInput } from "./step-inputs.ts";
import { isFrozenStepStatus } from "./transitions.ts";

/** One run with all its rows: the unit of export, copy and display. */
export interface RunBundle {
  readonly run: WorkflowRun;
  /** By `executionIndex`, then `stepId`. */
  readonly steps: readonly StepExecution[];
  /** By `stepId`, then `attempt`. */
  readonly attempts: readonly StepAttempt[];
  /** By `stepId`. */
  readonly outputs: readonly StepOutput[];
  /** By `key`. */
  readonly state: readonly WorkflowState[];
}

/**
 * True if the stored run has a write that the bundle does not have: a later revision or, at the same revision, a later
 * state value, a step, attempt or output that the bundle lacks, or the end of a step. A run with another `createdAt` was
 * deleted and created again, and is never newer.
 */
export function isNewerBundle(stored: RunBundle, { run, ...bundle }: RunBundle): boolean {
  if (stored.run.createdAt.getTime() !== run.createdAt.getTime()) return false;
  if (stored.run.revision !== run.revision) return stored.run.revision > run.revision;
  const stepIds = new Set(bundle.steps.map(({ stepId }) => stepId));
  const endedIds = new Set(
    bundle.steps.filter(({ status }) => isFrozenStepStatus(status)).map(({ stepId }) => stepId),
  );
  const attempts = new Set(bundle.attempts.map(attemptKey));
  const outputs = new Set(bundle.outputs.map(({ stepId }) => stepId));
  const revisions = new Map(bundle.state.map(({ key, revision }) => [key, revision]));
  return (
    stored.run.stateRevision > run.stateRevision ||
    stored.steps.some(
      ({ stepId, status }) => !(isFrozenStepStatus(status) ? endedIds : stepIds).has(stepId),
    ) ||
    stored.attempts.some((attempt) => !attempts.has(attemptKey(attempt))) ||
    stored.outputs.some(({ stepId }) => !outputs.has(stepId)) ||
    // The run's `stateRevision` has the revisions of deleted keys.
    stored.state.some(({ key, revision }) => revision > (revisions.get(key) ?? run.stateRevision))
  );
}

/** The order of a run's steps: by `executionIndex`, then the UTF-8 bytes of `stepId`. */
export function compareSteps(
  a: Pick<StepExecution, "executionIndex" | "stepId">,
  b: Pick<StepExecution, "executionIndex" | "stepId">,
): number {
  return a.executionIndex - b.executionIndex || compareText(a.stepId, b.stepId);
}

/** The order of a run's attempts: by the UTF-8 bytes of `stepId`, then `attempt`. */
export function compareAttempts(
  a: Pick<StepAttempt, "stepId" | "attempt">,
  b: Pick<StepAttempt, "stepId" | "attempt">,
): number {
  return compareText(a.stepId, b.stepId) || a.attempt - b.attempt;
}

/**
 * A bundle to be written. Fields that the first version of the schema lacked are optional, so that its exports can be
 * imported.
 */
export type BundleInput = Omit<RunBundle, "run" | "steps" | "attempts"> & {
  readonly run: Defaulted<WorkflowRun, keyof typeof laterRunColumns>;
  readonly steps: readonly Defaulted<StepExecution, keyof typeof laterStepColumns>[];
  readonly attempts?: readonly StepAttempt[] | undefined;
};

type Defaulted<Row, Column extends keyof Row> = Omit<Row, Column> & {
  readonly [Name in Column]?: Row[Name] | undefined;
};

const { shape: run } = workflowRunSchema;
const laterRunColumns = {
  claimedAt: z._default(run.claimedAt, null),
  wakeAt: z._default(run.wakeAt, null),
  deadlineAt: z._default(run.deadlineAt, null),
  timeoutMs: z._default(run.timeoutMs, null),
  lostLeases: z._default(run.lostLeases, 0),
  stateRevision: z._default(run.stateRevision, 0),
};

const { shape: step } = stepExecutionSchema;
const laterStepColumns = {
  attemptOffset: z._default(step.attemptOffset, 0),
  sleepCount: z._default(step.sleepCount, 0),
  wakeAt: z._default(step.wakeAt, null),
  inputFrom: z._default(step.inputFrom, null),
};

const bundleSchema = z.strictObject({
  run: z.extend(workflowRunSchema, laterRunColumns),
  steps: z.array(z.extend(stepExecutionSchema, laterStepColumns)),
  attempts: z._default(z.array(stepAttemptSchema), []),
  outputs: z.array(stepOutputSchema),
  state: z.array(workflowStateSchema),
});

/**
 * Returns the bundle with all fields.
 *
 * @throws {InvalidArgumentError} if a row is invalid or belongs to another run.
 */
export function parseBundle(bundle: unknown, argument: string): RunBundle {
  const parsed = parseArgument(bundleSchema, bundle, argument);
  const { runId } = parsed.run;
  checkRows(runId, parsed.steps, `${argument}.steps`, ({ stepId }) => stepId);
  checkRows(runId, parsed.attempts, `${argument}.attempts`, attemptKey);
  checkRows(runId, parsed.outputs, `${argument}.outputs`, ({ stepId }) => stepId);
  checkRows(runId, parsed.state, `${argument}.state`, ({ key }) => key);
  return { ...parsed, steps: parsed.steps.map(withoutDerivedInput) };
}

interface WrittenBundles {
  readonly written: number;
  readonly skipped: number;
  readonly replaced: number;
}

const writtenBefore = new WeakMap<object, WrittenBundles>();

/** Notes what `writeBundles` has stored before it fails with this error. Returns the error. */
export function noteWritten<Failure>(error: Failure, written: WrittenBundles): Failure {
  writtenBefore.set(Object(error), written);
  return error;
}

/** What `writeBundles` stored before it failed with this error; nothing if the store does not tell. */
export function writtenUntil(error: unknown): WrittenBundles {
  return writtenBefore.get(Object(error)) ?? { written: 0, skipped: 0, replaced: 0 };
}

/** Passes if all rows belong to the run and are distinct. */
function checkRows<Row extends { readonly runId: string }>(
  runId: string,
  rows: readonly Row[],
  argument: string,
  keyOf: (row: Row) => string,
): void {
  const seen = new Set<string>();
  for (const [index, row] of rows.entries()) {
    const key = keyOf(row);
    if (row.runId !== runId || seen.has(key)) {
      throw new InvalidArgumentError({
        argument: `${argument}[${index}]`,
        reason: row.runId === runId ? "is there twice" : "belongs to another run",
      });
    }
    seen.add(key);
  }
}

/** Identifies an attempt within its run. Step ids do not contain NUL. */
export function attemptKey({ stepId, attempt }: Pick<StepAttempt, "stepId" | "attempt">): string {
  return `${stepId}\0${attempt}`;
}

/** @throws {InvalidArgumentError} unless `bundles` is an array of valid bundles. */
export function parseBundles(bundles: unknown): RunBundle[] {
  return parseArgument(z.array(z.unknown()), bundles, "bundles").map((bundle, index) =>
    parseBundle(bundle, `bundles[${index}]`),
  );
}
