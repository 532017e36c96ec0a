import type { WorkflowRun } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { KnownInput } from "./known-inputs.ts";
import { findInputStage, findResumption, type Resumption, type StepRows } from "./run-history.ts";
import {
  combineOutputs,
  type StageInput,
  type StagePosition,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";
import { StoredSteps } from "./stored-steps.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import { findStage, type Stage, type WorkflowPlan } from "../definition/workflow-plan.ts";

/** Where a claimed run goes on, with all that this takes. */
export interface LoadedRun {
  /** What the starter has passed along. */
  readonly context: unknown;
  /** The stage under way, or the place of one that has not begun. */
  readonly at: StageRun | StagePosition;
  /** The step there whose condition has failed: it is asked again. Null where none has. */
  readonly failedStepId: string | null;
  /** Steps of that stage that begin anew. */
  readonly reopened: readonly StepRun[];
}

/** The steps that are read one by one; where there are more, all are read at once. */
const maxSingleReads = 50;

/**
 * Reads what the store knows of the run, as far as it is needed: what a worker has to read does not grow with the
 * steps that have ended.
 *
 * A run that is claimed for the first time has no steps: its history is not read, and its input only when it is
 * not known.
 *
 * @throws {RunNotFoundError} {CorruptRowError} {StepOutputNotFoundError}
 */
export async function loadRun({
  store,
  workflow: { plan },
  run: { runId, progress },
  isNew,
  knownInput,
}: {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  readonly run: Pick<WorkflowRun, "runId" | "progress">;
  readonly isNew: boolean;
  readonly knownInput: KnownInput | null;
}): Promise<LoadedRun> {
  const stored = new StoredSteps(store, runId);
  const [{ inputText, context }, resumption] = await Promise.all([
    knownInput ?? readInput(store, runId),
    isNew ? findResumption(plan, stored.rows, 0) : readResumption(plan, stored, progress),
  ]);
  const { stage: index, open, failed } = resumption;
  const { rows } = stored;
  const inputStage = await findInputStage(plan, stored, index);
  const input: StageInput =
    inputStage === null
      ? { text: inputText, from: null }
      : combineOutputs(inputStage, await loadOutputs(store, runId, inputStage));
  const stage = plan.stages[index];
  const failedStepId = stage === undefined ? null : findFailedCondition(stage, rows);
  if (
    stage === undefined ||
    failedStepId !== null ||
    !stage.steps.some(({ definition }) => rows.has(definition.id))
  ) {
    return { context, at: { index, input }, failedStepId, reopened: [] };
  }

  const reopened: StepRun[] = [];
  const steps = open.map(({ reopened: isReopened, ...step }): StepRun => {
    const stepRun = { ...step, attemptStartedAt: null };
    if (isReopened) reopened.push(stepRun);
    return stepRun;
  });
  const isToRun = new Set(open.map(({ planned }) => planned));
  const ended = stage.steps.filter((step) => !isToRun.has(step) && !failed.has(step.definition.id));
  const outputs = await loadOutputs(store, runId, { ...stage, steps: ended });
  const failures = new Map(failed);
  const at = { index, stage, input, steps, outputs, failures, passed: [] };
  return { context, at, failedStepId, reopened };
}

async function readInput(store: WorkflowStore, runId: string): Promise<KnownInput> {
  const { input, context } = await store.getRun(runId);
  return { inputText: JSON.stringify(input), context };
}

/** The step that has failed without an attempt: by its condition. */
function findFailedCondition({ condition, steps }: Stage, rows: StepRows): string | null {
  if (condition === null) return null;
  const failed = steps.find(({ definition }) => {
    const row = rows.get(definition.id);
    return row?.status === "FAILED" && row.attempt === 0;
  });
  return failed?.definition.id ?? null;
}

/**
 * Where the run goes on. Its progress says where that should be; when the rows there do not bear it out, as after a
 * run was reopened, all are read.
 */
async function readResumption(
  plan: WorkflowPlan,
  stored: StoredSteps,
  progress: number,
): Promise<Resumption> {
  const expected = findStage(plan, Math.round(progress * plan.stepIds.size));
  const before = plan.stages[expected - 1]?.steps ?? [];
  const here = plan.stages[expected]?.steps ?? [];
  if (here.length > 0 && before.length + here.length <= maxSingleReads) {
    await stored.read([...before, ...here]);
    const resumption = findResumption(plan, stored.rows, Math.max(0, expected - 1));
    if (resumption.stage === expected) return resumption;
  }
  await stored.readAll();
  return findResumption(plan, stored.rows, 0);
}

/** The outputs of the stage's steps, as JSON text. */
async function loadOutputs(
  store: WorkflowStore,
  runId: string,
  { steps }: Stage,
): Promise<Map<string, string>> {
  const ids = steps.map(({ definition }) => definition.id);
  const outputs = await Promise.all(ids.map((id) => store.loadStepOutput(runId, id)));
  return new Map(ids.map((id, index) => [id, JSON.stringify(outputs[index])]));
}
