import { StepOutputNotFoundError } from "../../errors.ts";
import { decodeJson, encodeDecoded } from "../../json.ts";
import type { StepExecution } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  findStage,
  hasConditions,
  type PlannedStep,
  type Stage,
  type WorkflowPlan,
} from "../definition/workflow-plan.ts";
import type { KnownInput } from "../started-runs.ts";
import { findResumption, type Resumption, type StepRows } from "./run-history.ts";
import type { ClaimedRun } from "./run-scope.ts";
import {
  beginStage,
  combineOutputs,
  type RunResult,
  type StageInput,
  type StageRun,
} from "./stage-run.ts";

/** Up to this number, steps are read one by one. Otherwise, all steps of the run are read. */
const maxSingleReads = 50;

/**
 * Loads the run from the store. The number of reads does not grow with the number of ended steps. `isFirst` is false if
 * this claim has executed the run before.
 *
 * @throws {RunNotFoundError} if the run was deleted.
 * @throws {CorruptRowError} if a row cannot be read.
 * @throws {StepOutputNotFoundError} if the output of an ended step is missing.
 */
export async function loadRun(
  { store, workflow, run, knownInput, observer }: ClaimedRun,
  isFirst: boolean,
): Promise<StageRun | RunResult> {
  const { runId, attempt, lostLeases, progress } = run;
  const { plan } = workflow;
  const stored = new StoredSteps(store, runId);
  const [{ inputText, context }, { stage: index, open, failed }] = await Promise.all([
    isFirst && knownInput !== null ? knownInput : readInput(store, runId),
    // A run that was started here and is claimed for the first time has no steps. Any other may have been imported.
    isFirst && attempt === 1 && knownInput !== null
      ? findResumption(plan, stored.rows, 0)
      : readResumption(plan, stored, progress),
  ]);
  observer.loaded(context);
  const input = (await stored.outputBefore(plan, index)) ?? { text: inputText, from: null };
  const stage = plan.stages[index];
  if (stage === undefined) return beginStage(plan, index, input);
  const rows = stage.steps.map(({ definition }) => stored.rows.get(definition.id));
  // An earlier claim that was not lost may have begun a step of the first stage without storing it. Each has its own
  // number. A restart from a step of the stage leaves the step PENDING, and those after it count from 1 too.
  const isUnknown =
    index === 0 && !hasConditions(stage) && !rows.some((row) => row?.status === "PENDING");
  const firstAttempt = isUnknown ? Math.max(1, attempt - lostLeases) : 1;
  if (rows.every((row) => row === undefined)) return beginStage(plan, index, input, firstAttempt);
  for (const step of open) {
    if (step.row === "missing") {
      Object.assign(step, { attempt: firstAttempt, attemptOffset: firstAttempt - 1 });
    }
    // In a reopened run, a restarted step parses the stage's input again, because an operator may have corrected it.
    if (step.row === "earlier" && step.attempt === step.attemptOffset + 1) continue;
    const row = stored.rows.get(step.planned.definition.id);
    // A row that an app wrote may have no input.
    if (row === undefined || row.inputFrom !== null || row.input === null) continue;
    const text = encodeDecoded(row.input);
    // The row contains the stage's input until the step stores a different parsed input.
    if (text !== input.text) Object.assign(step, { parsedInput: text, isInputStored: true });
  }
  const isOpen = new Set(open.map(({ planned }) => planned));
  const ended = stage.steps.filter((step) => !isOpen.has(step) && !failed.has(step.definition.id));
  const outputs = await stored.outputsOf(ended);
  return { index, stage, input, steps: open, outputs, failures: new Map(failed) };
}

/** Reads the output of a completed run from its steps. Null if no step has one. */
export async function loadRunOutput(
  store: WorkflowStore,
  plan: WorkflowPlan,
  runId: string,
): Promise<unknown> {
  try {
    const output = await new StoredSteps(store, runId).outputBefore(plan, plan.stages.length);
    return output === null ? null : decodeJson(output.text);
  } catch (error) {
    // An app completed the run.
    if (error instanceof StepOutputNotFoundError) return null;
    throw error;
  }
}

/**
 * The input of stage number `stage`.
 *
 * @throws {StepOutputNotFoundError} if the stage before it has not ended.
 */
export async function loadStageInput(
  store: WorkflowStore,
  plan: WorkflowPlan,
  runId: string,
  stage: number,
): Promise<StageInput> {
  const output = await new StoredSteps(store, runId).outputBefore(plan, stage);
  return output ?? { text: (await readInput(store, runId)).inputText, from: null };
}

async function readInput(store: WorkflowStore, runId: string): Promise<KnownInput> {
  const { input, context } = await store.getRun(runId);
  return { inputText: encodeDecoded(input), context };
}

/** Finds where the run resumes by its progress. If the rows there disagree, as after a reopening, reads all rows. */
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

/** The stage whose outputs are the input of stage number `stage`; null if that input is the one of the run. */
export async function findInputStage(
  plan: WorkflowPlan,
  stored: Pick<StoredSteps, "rows" | "read">,
  stage: number,
): Promise<Stage | null> {
  for (let index = stage - 1; index >= 0; index--) {
    const candidate = plan.stages[index];
    if (candidate === undefined) return null;
    const [only] = candidate.steps;
    // A skipped step without a value for that passes its input on.
    if (only?.definition.condition == null || only.definition.otherwise !== null) return candidate;
    await stored.read(candidate.steps);
    const isSkipped = candidate.steps.some(
      ({ definition }) => stored.rows.get(definition.id)?.status === "SKIPPED",
    );
    if (!isSkipped) return candidate;
  }
  return null;
}

/** The rows of a run's steps, read on demand because a run may have very many. */
class StoredSteps {
  readonly #store: WorkflowStore;
  readonly #runId: string;
  readonly #rows = new Map<string, StepExecution>();
  /** The ids that were read, including those without a row. */
  readonly #asked = new Set<string>();
  #hasAll = false;

  constructor(store: WorkflowStore, runId: string) {
    this.#store = store;
    this.#runId = runId;
  }

  get rows(): StepRows {
    return this.#rows;
  }

  async read(steps: readonly PlannedStep[]): Promise<void> {
    const ids = steps.map(({ definition }) => definition.id);
    const missing = this.#hasAll ? [] : ids.filter((id) => !this.#asked.has(id));
    const rows = missing.map((id) => this.#store.findStepExecution(this.#runId, id));
    for (const row of await Promise.all(rows)) if (row !== null) this.#rows.set(row.stepId, row);
    for (const id of missing) this.#asked.add(id);
  }

  /** The output of the stages before stage number `stage`; null if its input is the one of the run. */
  async outputBefore(plan: WorkflowPlan, stage: number): Promise<StageInput | null> {
    const before = await findInputStage(plan, this, stage);
    return before && combineOutputs(before, await this.outputsOf(before.steps));
  }

  /** The outputs of the steps by their ids, as JSON text. */
  async outputsOf(steps: readonly PlannedStep[]): Promise<Map<string, string>> {
    const outputs = steps.map(async ({ definition: { id } }) => {
      const output = await this.#store.loadStepOutput(this.#runId, id);
      return [id, encodeDecoded(output)] as const;
    });
    return new Map(await Promise.all(outputs));
  }

  async readAll(): Promise<void> {
    for (const row of await this.#store.listStepExecutions(this.#runId)) {
      this.#rows.set(row.stepId, row);
    }
    this.#hasAll = true;
  }
}
