import type { ConditionContext, StepDefinition } from "./step-definition.ts";

/** Decides by a step's input whether the step runs. It may be called more than once and should have no effects. */
export type Condition<Input> = (input: Input, ctx: ConditionContext) => boolean | Promise<boolean>;

/** A step with the defaults of its workflow, and its condition. */
export interface StepInWorkflow extends StepDefinition {
  /** Decides whether the step runs; null for always. */
  readonly condition: Condition<unknown> | null;
  /** The output if the condition is false, as JSON text. Null if the next stage then gets the input of this step. */
  readonly otherwise: string | null;
}

/** A step of a workflow. `index` is its position, and its row's `executionIndex`. */
export interface PlannedStep {
  readonly index: number;
  readonly definition: StepInWorkflow;
}

/** One step, or the steps of a `parallel`. */
export interface Stage {
  readonly parallel: boolean;
  readonly steps: readonly PlannedStep[];
}

/** The stages of a workflow, in order. */
export interface WorkflowPlan {
  readonly stages: readonly Stage[];
  readonly stepIds: ReadonlySet<string>;
}

/** True if a condition decides whether a step of the stage runs. */
export function hasConditions({ steps }: Stage): boolean {
  return steps.some(({ definition }) => definition.condition !== null);
}

/** The index of the stage of step number `step`; the number of stages if the step does not exist. */
export function findStage({ stages }: WorkflowPlan, step: number): number {
  const found = stages.findIndex(({ steps }) => (steps.at(-1)?.index ?? 0) >= step);
  return found < 0 ? stages.length : found;
}
