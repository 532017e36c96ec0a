import { markChecked, parseArgument } from "../arguments.ts";
import { untilAborted } from "../async/abort.ts";
import { InvalidArgumentError, StoreBusyError } from "../errors.ts";
import { decodeJson, encodeJson } from "../json.ts";
import { earliest } from "../model/times.ts";
import { isReopenableRunStatus } from "../model/transitions.ts";
import { newId } from "../new-id.ts";
import { jsonLimits } from "../schema/columns.ts";
import type { Tags } from "../schema/json-types.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { requireHostTransactions } from "../store/transactions.ts";
import { parseValue, tryParse } from "./definition/standard-schema.ts";
import { checkWorkflow, type Workflow } from "./definition/workflow-builder.ts";
import { startOptionsSchema, type StartOptions } from "./engine-options.ts";
import { withTrace } from "./observe/trace-context.ts";
import { textOf } from "./run/step-input.ts";
import type { WorkerOptions } from "./worker/worker.ts";

type Starter = Pick<WorkerOptions, "store" | "clock" | "startedRuns" | "openTelemetry">;

/**
 * Stores a PENDING run of the workflow. If a run has the idempotency key of the options, that run is returned instead.
 * `runId` defaults to a new id.
 *
 * @throws {InvalidArgumentError} that names the field.
 * @throws {InvalidValueError} if JSON cannot hold the input.
 * @throws {UnsupportedError} if `tx` is given and the store does not share a database with an app.
 */
export async function startRun(
  { store, clock, startedRuns, openTelemetry }: Starter,
  workflow: Workflow,
  input: unknown,
  options: StartOptions,
  runId?: string,
): Promise<WorkflowRun> {
  checkWorkflow(workflow);
  const parsed = parseArgument(startOptionsSchema, options, "options");
  const { tx, signal, timeoutMs, tags, resourceId, idempotencyKey, onExisting, keyTtlMs } = parsed;
  if (idempotencyKey === undefined && (onExisting ?? keyTtlMs) !== undefined) {
    const option = onExisting === undefined ? "keyTtlMs" : "onExisting";
    throw refuse(`options.${option}`, "needs an `idempotencyKey`");
  }
  // Arguments are copied before the first await, because the caller may change them afterwards.
  const given = input === undefined ? undefined : encodeJson(input, "input", jsonLimits.payload);
  const context =
    parsed.context === undefined
      ? null
      : (decodeJson(encodeJson(parsed.context, "context", jsonLimits.detail)) as object);
  const startAt = parsed.startAt && new Date(parsed.startAt);
  const deadlineAt = parsed.deadlineAt && new Date(parsed.deadlineAt);
  const now = clock();
  const startsAt = startAt ?? now;
  if (deadlineAt !== undefined && deadlineAt <= startsAt) {
    throw refuse("options.deadlineAt", "must be later than the start of the run");
  }
  const timeout = timeoutMs ?? workflow.timeoutMs;
  const endsBy = earliest([
    deadlineAt ?? null,
    timeout === null ? null : new Date(startsAt.getTime() + timeout),
  ]);
  if (Number.isNaN(endsBy?.getTime())) {
    throw refuse("options.timeoutMs", "ends beyond the times that a Date can hold");
  }
  const target =
    tx === undefined ? store : requireHostTransactions(store, "options.tx").withTransaction(tx);
  const mergedTags = mergeTags(workflow.tags, tags);
  const inputText = await untilAborted(signal, acceptInput(workflow, given));
  // Without a key, the run is always new.
  const ownId = runId ?? (idempotencyKey === undefined ? undefined : newId());
  const newRun = {
    runId: ownId,
    resourceId,
    idempotencyKey,
    tags: mergedTags,
    workflowId: workflow.id,
    workflowVersion: workflow.version,
    input: valueOf(inputText) ?? null,
    wakeAt: startAt,
    deadlineAt: endsBy,
    timeoutMs: endsBy === null ? null : endsBy.getTime() - startsAt.getTime(),
  };
  const start = (await openTelemetry())?.beginStart(workflow) ?? null;
  const stored = withTrace(context, start?.context ?? null);
  const row = markChecked({ ...newRun, context: stored });
  const isFree = (run: WorkflowRun): boolean =>
    (onExisting === "reuseKey" && isReopenableRunStatus(run.status)) ||
    (keyTtlMs !== undefined && run.createdAt.getTime() + keyTtlMs <= now.getTime());
  const create = async (): Promise<WorkflowRun> => {
    let run = await target.createRun(row, { signal });
    for (let attempts = 1; isFree(run); attempts++) {
      if (attempts > maxTakes) {
        throw new StoreBusyError("the run that has the idempotency key changes all the time");
      }
      const { runId: holder, revision } = run;
      // Another start may take the key first, or the run may change: then it is not taken.
      run = await target.createRun(row, { signal, takeKeyFrom: { runId: holder, revision } });
    }
    return run;
  };
  try {
    const run = await (start === null ? create() : start.within(create));
    start?.end(run);
    if (tx === undefined && startsAt <= now && run.attempt === 0) {
      // The key may belong to a run with another input, or to an imported one that has steps.
      const isNew = ownId === undefined || run.runId === ownId;
      startedRuns.add(run, isNew ? (inputText ?? "null") : null);
    }
    return run;
  } catch (error) {
    start?.end({ error });
    throw error;
  }
}

/** How often a start tries to take a key from a run that another writer changes. */
const maxTakes = 20;

/**
 * Checks an input and returns the one to store, both as JSON text: the first step's parsed input. The step parses it
 * again with the same schema. If that would not return the same value, or the value is not JSON, the given one is stored.
 *
 * @throws {InvalidArgumentError} if a first step does not accept the input.
 */
async function acceptInput(
  workflow: Workflow,
  text: string | undefined,
): Promise<string | undefined> {
  const [first] = workflow.plan.stages;
  let accepted = text;
  for (const { definition } of first?.steps ?? []) {
    const schema = definition.inputSchema;
    const value = await parseValue(schema, valueOf(text), "input", refuse);
    if (first?.parallel === true || definition.condition !== null) continue;
    const made = textOf(value);
    if (made === null || made === text) continue;
    const again = await tryParse(schema, valueOf(made));
    if (again !== null && textOf(again.value) === made) accepted = made;
  }
  return accepted;
}

/** The tags of a run; undefined if it has none. */
function mergeTags(ofWorkflow: Readonly<Tags>, given: Tags | undefined): Tags | undefined {
  const tags = { ...ofWorkflow, ...given };
  return given === undefined && Object.keys(tags).length === 0 ? undefined : tags;
}

function refuse(argument: string, reason: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument, reason });
}

/** Parses JSON text. Undefined stands for no input. */
function valueOf(text: string | undefined): unknown {
  return text === undefined ? undefined : decodeJson(text);
}
