import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { parseArgument } from "../arguments.ts";
import { earliest } from "../model/times.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import type { Clock } from "../store/clock.ts";
import { hasHostTransactions } from "../store/transactions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { startOptionsSchema, type StartOptions } from "./engine-options.ts";
import type { KnownInputs } from "./known-inputs.ts";
import { parseValue } from "./step-validation.ts";
import type { Telemetry } from "./telemetry.ts";
import type { Workflow } from "./workflow-builder.ts";

/** What it takes to start a run. */
export interface RunStarter {
  readonly store: WorkflowStore;
  readonly clock: Clock;
  readonly knownInputs: KnownInputs;
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
  { store, clock, knownInputs, telemetry }: RunStarter,
  workflow: Workflow,
  input: unknown,
  options: StartOptions,
): Promise<StartedRun> {
  const { tx, signal, startAt, timeoutMs, deadlineAt, ...columns } = parseArgument(
    startOptionsSchema,
    options,
    "options",
  );
  const now = clock();
  const startsAt = startAt ?? now;
  if (deadlineAt !== undefined && deadlineAt <= startsAt) {
    throw new InvalidArgumentError({
      argument: "options.deadlineAt",
      reason: "must be later than the start of the run",
    });
  }
  await checkInput(workflow, input);
  const timeout = timeoutMs ?? workflow.timeoutMs;
  const endsBy = earliest([
    deadlineAt ?? null,
    timeout === null ? null : new Date(startsAt.getTime() + timeout),
  ]);
  const target = tx === undefined ? store : within(store, tx);
  const newRun = {
    workflowId: workflow.id,
    workflowVersion: workflow.version,
    input,
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
  if (tx === undefined && run.attempt === 0) knownInputs.add(run);
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

/** @throws {InvalidArgumentError} when the input is not what the first steps accept. */
async function checkInput(workflow: Workflow, input: unknown): Promise<void> {
  const [first] = workflow.plan.stages;
  for (const { definition } of first?.steps ?? []) {
    const parsed = await parseValue(definition.inputSchema, input, "input");
    if (parsed.fits) continue;
    throw new InvalidArgumentError({ argument: parsed.path, reason: parsed.reason });
  }
}
