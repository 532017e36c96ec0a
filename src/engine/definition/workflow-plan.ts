import type { StepDefinition, StepState } from "./step-definition.ts";

/** The context of a condition. */
export interface ConditionContext {
  readonly runId: string;
  readonly state: Pick<StepState, "get" | "all">;
  /** The output of a step. @throws {StepOutputNotFoundError} if the step has none. */
  output<Output>(step: StepDefinition<string, never, Output>): Promise<Output>;
}

/** Decides by a step's input whether the step runs. It may be called more than once and should have no effects. */
export type Condition<Input> = (input: Input, ctx: ConditionContext) => boolean | Promise<boolean>;

/** A step of a workflow. `index` is its position, and its row's `executionIndex`. */
export interface PlannedStep {
  readonly index: number;
  readonly definition: StepDefinition;
}

/** One step, or the steps of a `parallel`. */
export interface Stage {
  readonly parallel: boolean;
  readonly steps: readonly PlannedStep[];
  readonly condition: Condition<unknown> | null;
}

/** The stages of a workflow, in order. */
export interface WorkflowPlan {
  readonly stages: readonly Stage[];
  readonly stepIds: ReadonlySet<string>;
}

/** The index of the stage of step number `step`; the number of stages if the step does not exist. */
export function findStage({ stages }: WorkflowPlan, step: number): number {
  let low = 0;
  let high = stages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const last = stages[middle]?.steps.at(-1)?.index ?? 0;
    if (last < step) low = middle + 1;
    else high = middle;
  }
  return low;
}
