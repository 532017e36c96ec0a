import type * as z from "zod";
import type { StopSignal } from "../../async/abort.ts";
import { InvalidArgumentError, StateNotFoundError } from "../../errors.ts";
import type { Fence } from "../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { parseStepValue } from "../definition/define-step.ts";
import type { StepDefinition, StepState } from "../definition/step-definition.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { ConditionContext } from "../definition/workflow-plan.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { RunObserver } from "../observe/run-observer.ts";
import type { RunWriter } from "./run-writer.ts";

/** What the parts of the execution of one run share. */
export interface RunScope {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  readonly run: WorkflowRunSummary;
  /** The claim. Every write of the run names it and takes effect only while the worker holds the run. */
  readonly fence: Fence;
  readonly logger: BoundLogger;
  readonly observer: RunObserver;
  readonly clock: Clock;
  readonly writer: RunWriter;
  /** Stops the run in this process because a write of it was refused. */
  readonly lose: (error: Error) => void;
  /** Aborts when the run stops in this process; the reason says why. */
  readonly signal: StopSignal;
  /** Aborts when no further step should begin in this process. */
  readonly drainSignal: StopSignal;
}

/**
 * Reads the output of a step of the run's workflow through `store`.
 *
 * @throws {InvalidArgumentError} if the step belongs to another workflow.
 * @throws {StepOutputNotFoundError} if the step has no output.
 */
export async function readOutput(
  { workflow, run }: Pick<RunScope, "workflow" | "run">,
  store: WorkflowStore,
  stepId: string,
): Promise<unknown> {
  if (!workflow.plan.stepIds.has(stepId)) {
    throw new InvalidArgumentError({
      argument: "step",
      reason: `${stepId} is not a step of workflow ${workflow.id}`,
    });
  }
  return store.loadStepOutput(run.runId, stepId);
}

/** Reads the state of a run through the store that `store` returns at that moment. */
export function createStateReader(
  runId: string,
  stepId: string,
  store: () => WorkflowStore,
): Pick<StepState, "get" | "all"> {
  async function get(key: string): Promise<unknown>;
  async function get<Schema extends z.ZodType>(
    key: string,
    schema: Schema,
  ): Promise<z.output<Schema>>;
  async function get(key: string, schema?: z.ZodType): Promise<unknown> {
    let value: unknown;
    try {
      value = await store().loadState(runId, key);
    } catch (error) {
      if (error instanceof StateNotFoundError) return undefined;
      throw error;
    }
    if (schema === undefined) return value;
    return parseStepValue(schema, value, { stepId, root: `state.${key}` });
  }
  return { get, all: async () => store().getAllState(runId) };
}

/** The context of a step's condition. */
export function createConditionContext(
  scope: Pick<RunScope, "workflow" | "run" | "store">,
  stepId: string,
): ConditionContext {
  const { store, run } = scope;
  return {
    runId: run.runId,
    state: createStateReader(run.runId, stepId, () => store),
    output: async <Output>({ id }: StepDefinition<string, never, Output>) =>
      // The step's output schema made it.
      (await readOutput(scope, store, id)) as Output,
  };
}
