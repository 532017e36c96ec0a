import { StepExecutionNotFoundError, StepOutputNotFoundError } from "../../errors.ts";
import type { StepExecution, WorkflowRun } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  findStage,
  type PlannedStep,
  type Stage,
  type WorkflowPlan,
} from "../definition/workflow-plan.ts";
import type { KnownInput } from "../started-runs.ts";
import {
  findInputStage,
  findResumption,
  type Resumption,
  type StepReader,
  type StepRows,
} from "./run-history.ts";
import {
  combineOutputs,
  newStageRun,
  type StageInput,
  type StagePosition,
  type StageRun,
} from "./stage-run.ts";

/** Where a claimed run continues, with everything that it needs there. */
export interface LoadedRun {
  /** The context that the run was started with. */
  readonly context: unknown;
  readonly at: StageRun | StagePosition;
  /** The step at that position whose condition failed before the run was reopened; null if there is none. */
  readonly failedStepId: string | null;
}

export interface LoadRunOptions {
  readonly store: WorkflowStore;
  readonly plan: WorkflowPlan;
  readonly run: Pick<WorkflowRun, "runId" | "progress" | "attempt" | "lostLeases">;
  /** True if the run was claimed for the first time, and so has no steps. */
  readonly isNew: boolean;
  /** The input if this process knows it, otherwise null. */
  readonly knownInput: KnownInput | null;
}

/** Up to this number, steps are read one by one; otherwise all are read at once. */
const maxSingleReads = 50;

/**
 * Reads the run from the store. How much is read does not grow with the steps that have ended.
 *
 * @throws {RunNotFoundError} if the run was deleted.
 * @throws {CorruptRowError} if a row cannot be read.
 * @throws {StepOutputNotFoundError} if the output of an ended step is missing.
 */
export async function loadRun(options: LoadRunOptions): Promise<LoadedRun> {
  const { store, plan, run, isNew, knownInput } = options;
  const { runId } = run;
  const firstStage = plan.stages[0];
  if (isNew && firstStage !== undefined) {
    const { inputText, context } = knownInput ?? (await readInput(store, runId));
    const position = { index: 0, input: { text: inputText, from: null } };
    const isConditional = firstStage.condition !== null;
    const at = isConditional ? position : newStageRun(position, firstStage);
    return { context, at, failedStepId: null };
  }
  const stored = new StoredSteps(store, runId);
  const [{ inputText, context }, resumption] = await Promise.all([
    knownInput ?? readInput(store, runId),
    readResumption(plan, stored, run.progress),
  ]);
  const { stage: index, open, failed } = resumption;
  const inputStage = await findInputStage(plan, stored, index);
  const input: StageInput =
    inputStage === null
      ? { text: inputText, from: null }
      : combineOutputs(inputStage, await loadOutputs(store, runId, inputStage));
  const stage = plan.stages[index];
  if (stage === undefined) return { context, at: { index, input }, failedStepId: null };
  const failedStepId = findFailedCondition(stage, stored.rows);
  const hasRows = stage.steps.some(({ definition }) => stored.rows.has(definition.id));
  if (failedStepId !== null || (!hasRows && stage.condition !== null)) {
    return { context, at: { index, input }, failedStepId };
  }
  if (!hasRows) {
    // An earlier claim may have begun the first stage without storing it: each claim that was not lost has its number.
    const firstAttempt = index === 0 ? Math.max(1, run.attempt - run.lostLeases) : 1;
    const at = newStageRun({ index, input }, stage, firstAttempt);
    return { context, at, failedStepId };
  }
  for (const step of open) {
    // A step that restarts in a reopened run parses the stage's input again, which may have been corrected.
    if (step.row === "earlier" && step.attempt === step.attemptOffset + 1) continue;
    const row = stored.rows.get(step.planned.definition.id);
    // A row that was not written by an engine may have no input.
    if (row === undefined || row.inputFrom !== null || row.input === null) continue;
    const text = JSON.stringify(row.input);
    // The row has the stage's input until the step's schema makes something else of it.
    if (text !== input.text) Object.assign(step, { parsedInput: text, isInputStored: true });
  }
  const isOpen = new Set(open.map(({ planned }) => planned));
  const ended = stage.steps.filter((step) => !isOpen.has(step) && !failed.has(step.definition.id));
  const outputs = await loadOutputs(store, runId, { ...stage, steps: ended });
  const at = { index, stage, input, steps: open, outputs, failures: new Map(failed) };
  return { context, at, failedStepId };
}

/** The output of a completed run, from the outputs of its steps; null if it is the run's own input. */
export async function loadRunOutput(
  store: WorkflowStore,
  plan: WorkflowPlan,
  runId: string,
): Promise<unknown> {
  const stage = await findInputStage(plan, new StoredSteps(store, runId), plan.stages.length);
  if (stage === null) return null;
  try {
    return JSON.parse(combineOutputs(stage, await loadOutputs(store, runId, stage)).text);
  } catch (error) {
    // The run was not completed by an engine.
    if (error instanceof StepOutputNotFoundError) return null;
    throw error;
  }
}

async function readInput(store: WorkflowStore, runId: string): Promise<KnownInput> {
  const { input, context } = await store.getRun(runId);
  return { inputText: JSON.stringify(input), context };
}

/** The step that failed without an attempt, which means that its condition failed. */
function findFailedCondition({ condition, steps }: Stage, rows: StepRows): string | null {
  if (condition === null) return null;
  const failed = steps.find(({ definition }) => {
    const row = rows.get(definition.id);
    return row?.status === "FAILED" && row.attempt === 0;
  });
  return failed?.definition.id ?? null;
}

/** Where the run continues, by its progress. All rows are read if those at that place disagree, as after a reopening. */
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
  { steps }: Pick<Stage, "steps">,
): Promise<Map<string, string>> {
  const ids = steps.map(({ definition }) => definition.id);
  const outputs = await Promise.all(ids.map((id) => store.loadStepOutput(runId, id)));
  return new Map(ids.map((id, index) => [id, JSON.stringify(outputs[index])]));
}

/** The rows of a run's steps that have been read so far: a run may have very many. */
class StoredSteps implements StepReader {
  readonly #store: WorkflowStore;
  readonly #runId: string;
  readonly #rows = new Map<string, StepExecution>();
  /** The ids that were asked for, including those without a row. */
  readonly #asked = new Set<string>();
  #hasAll = false;

  constructor(store: WorkflowStore, runId: string) {
    this.#store = store;
    this.#runId = runId;
  }

  get rows(): ReadonlyMap<string, StepExecution> {
    return this.#rows;
  }

  async read(steps: readonly PlannedStep[]): Promise<void> {
    if (this.#hasAll) return;
    const missing = steps.filter(({ definition }) => !this.#asked.has(definition.id));
    await Promise.all(missing.map(({ definition }) => this.#readOne(definition.id)));
  }

  async readAll(): Promise<void> {
    for (const row of await this.#store.listStepExecutions(this.#runId)) {
      this.#rows.set(row.stepId, row);
    }
    this.#hasAll = true;
  }

  async #readOne(stepId: string): Promise<void> {
    try {
      this.#rows.set(stepId, await this.#store.getStepExecution(this.#runId, stepId));
    } catch (error) {
      if (!(error instanceof StepExecutionNotFoundError)) throw error;
    }
    this.#asked.add(stepId);
  }
}
