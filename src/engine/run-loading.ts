import type { StepExecution, WorkflowRun } from "../schema/rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { findInputStage, findResumption, type StepRows } from "./run-history.ts";
import type { StageRun, StepRun } from "./step-run.ts";
import type { Workflow } from "./workflow-builder.ts";
import { combineOutputs, type Stage } from "./workflow-plan.ts";

/** Where a claimed run goes on, with all that this takes. */
export type LoadedRun = {
  /** Steps that have ended before this stage. */
  readonly endedSteps: number;
} & (
  | { readonly kind: "enter"; readonly index: number; readonly input: unknown }
  | {
      readonly kind: "continue";
      readonly stageRun: StageRun;
      readonly reopened: readonly StepRun[];
    }
);

/**
 * Reads what the store knows of the run.
 *
 * A run that is claimed for the first time has no steps: its history is not read, and its input only when it is
 * not known.
 *
 * @throws {RunNotFoundError} {CorruptRowError} {StepOutputNotFoundError}
 */
export async function loadRun({
  store,
  workflow: { plan },
  run: { runId },
  isNew,
  knownInput,
}: {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  readonly run: Pick<WorkflowRun, "runId">;
  readonly isNew: boolean;
  readonly knownInput: { readonly value: unknown } | null;
}): Promise<LoadedRun> {
  const [input, steps] = await Promise.all([
    knownInput ?? store.getRun(runId).then((row) => ({ value: row.input })),
    isNew ? [] : store.listStepExecutions(runId),
  ]);
  const rows: StepRows = new Map(steps.map((step): [string, StepExecution] => [step.stepId, step]));
  const { stage: index, open, failed, endedSteps } = findResumption(plan, rows);
  const inputStage = findInputStage(plan, rows, index);
  const stageInput =
    inputStage === null
      ? input.value
      : combineOutputs(inputStage, mapReader(await loadOutputs(store, runId, inputStage)));
  const stage = plan.stages[index];
  if (stage === undefined || !stage.steps.some(({ definition }) => rows.has(definition.id))) {
    return { kind: "enter", index, input: stageInput, endedSteps };
  }

  const reopened: StepRun[] = [];
  const toRun = open.map(({ reopened: isReopened, ...step }): StepRun => {
    const stepRun = { ...step, attemptStartedAt: null };
    if (isReopened) reopened.push(stepRun);
    return stepRun;
  });
  const isToRun = new Set(open.map(({ planned }) => planned));
  const ended = stage.steps.filter((step) => !isToRun.has(step) && !failed.has(step.definition.id));
  const outputs = await loadOutputs(store, runId, { ...stage, steps: ended });
  return {
    kind: "continue",
    endedSteps: endedSteps - outputs.size - failed.size,
    reopened,
    stageRun: { index, stage, input: stageInput, steps: toRun, outputs, failures: new Map(failed) },
  };
}

async function loadOutputs(
  store: WorkflowStore,
  runId: string,
  stage: Stage,
): Promise<Map<string, unknown>> {
  return new Map(
    await Promise.all(
      stage.steps.map(async ({ definition }): Promise<[string, unknown]> => [
        definition.id,
        await store.loadStepOutput(runId, definition.id),
      ]),
    ),
  );
}

function mapReader(outputs: ReadonlyMap<string, unknown>): (stepId: string) => unknown {
  return (stepId) => outputs.get(stepId);
}
