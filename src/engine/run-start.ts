import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { parseArgument } from "../arguments.ts";
import { encodeJson } from "../json.ts";
import { earliest } from "../model/times.ts";
import { jsonLimits } from "../schema/columns.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import type { Clock } from "../store/clock.ts";
import { hasHostTransactions } from "../store/transactions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { startOptionsSchema, type StartOptions } from "./engine-options.ts";
import type { KnownInputs } from "./run/known-inputs.ts";
import type { StartFlows } from "./start-flows.ts";
import { parseValue } from "./definition/step-validation.ts";
import type { Telemetry } from "./observe/telemetry.ts";
import { checkWorkflow, type Workflow } from "./definition/workflow-builder.ts";

/** What it takes to start a run. */
export interface RunStarter {
  readonly store: WorkflowStore;
  readonly clock: Clock;
  readonly knownInputs: KnownInputs;
  readonly flows: StartFlows;
  readonly telemetry: () => Promise<Telemetry>;
}

export interface StartedRun {
  readonly run: WorkflowRun;
  /** When it may begin; null when that is at once. */
  readonly startsAt: Date | null;
}

/**
 * Stores a PENDING run of the workflow, with the deadline that its time limits make; the one that is there already,
 * when the options name its key.
 *
 * @throws {InvalidArgumentError} that names the field. {InvalidValueError} {UnsupportedError}
 */
export async function startRun(
  { store, clock, knownInputs, flows, telemetry }: RunStarter,
  workflow: Workflow,
  input: unknown,
  options: StartOptions,
): Promise<StartedRun> {
  checkWorkflow(workflow);
  const parsed = parseArgument(startOptionsSchema, options, "options");
  const { tx, signal, timeoutMs, tags, resourceId, idempotencyKey } = parsed;
  // What the caller changes later is another matter: all is copied before anything is waited for.
  const given = input === undefined ? undefined : encodeJson(input, "input", jsonLimits.payload);
  const startAt = parsed.startAt && new Date(parsed.startAt);
  const deadlineAt = parsed.deadlineAt && new Date(parsed.deadlineAt);
  const columns = { resourceId, idempotencyKey, tags: tags && { ...tags } };
  const now = clock();
  const startsAt = startAt ?? now;
  if (deadlineAt !== undefined && deadlineAt <= startsAt) {
    throw new InvalidArgumentError({
      argument: "options.deadlineAt",
      reason: "must be later than the start of the run",
    });
  }
  const timeout = timeoutMs ?? workflow.timeoutMs;
  const endsBy = earliest([
    deadlineAt ?? null,
    timeout === null ? null : new Date(startsAt.getTime() + timeout),
  ]);
  if (Number.isNaN(endsBy?.getTime())) {
    throw new InvalidArgumentError({
      argument: "options.timeoutMs",
      reason: "ends beyond the times that a Date can hold",
    });
  }
  const accepted = await acceptInput(workflow, given);
  const target = tx === undefined ? store : within(store, tx);
  const newRun = {
    workflowId: workflow.id,
    workflowVersion: workflow.version,
    input: accepted,
    wakeAt: startAt,
    deadlineAt: endsBy,
    timeoutMs: endsBy === null ? null : endsBy.getTime() - startsAt.getTime(),
    ...columns,
  };
  const start = (await telemetry()).beginStart(workflow);
  const { context } = start;
  let run: WorkflowRun;
  try {
    run = await start.within(() => target.createRun({ ...newRun, context }, { signal }));
  } catch (error) {
    start.end({ error });
    throw error;
  }
  start.end(run);
  if (startsAt > now) return { run, startsAt };
  if (tx === undefined && run.attempt === 0) {
    knownInputs.add(run);
    flows.add(run.runId);
  }
  return { run, startsAt: null };
}

/** @throws {UnsupportedError} */
function within(store: WorkflowStore, tx: unknown): WorkflowStore {
  if (hasHostTransactions(store)) return store.withTransaction(tx);
  throw new UnsupportedError({
    feature: "options.tx",
    reason: "the store is not in a database that an app could have tables in",
  });
}

/**
 * The input, given as JSON text, as the first step's schema reads it; or as it is given if the schema makes something of
 * it that is not JSON, or that it would not accept itself: the step reads it by the same schema.
 *
 * @throws {InvalidArgumentError} when the input is not what the first steps accept.
 */
async function acceptInput(workflow: Workflow, text: string | undefined): Promise<unknown> {
  const [first] = workflow.plan.stages;
  let accepted = text;
  for (const { definition } of first?.steps ?? []) {
    const parsed = await parseValue(definition.inputSchema, valueOf(text), "input");
    if (!parsed.fits) {
      throw new InvalidArgumentError({ argument: parsed.path, reason: parsed.reason });
    }
    if (first?.parallel === true || first?.condition !== null) continue;
    const made = textOf(parsed.value);
    if (made === null || made === text) continue;
    const again = await parseValue(definition.inputSchema, valueOf(made), "input");
    if (again.fits && textOf(again.value) === made) accepted = made;
  }
  return valueOf(accepted) ?? null;
}

/** A copy of the value; undefined stands for no input. */
function valueOf(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

/** Null for what JSON cannot carry. */
function textOf(value: unknown): string | null {
  try {
    return encodeJson(value, "input", jsonLimits.payload);
  } catch {
    return null;
  }
}
