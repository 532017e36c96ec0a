import type { StepState } from "../run/step-state.ts";
import type { StepDefinition } from "./define-step.ts";

/** What a condition sees of its run. */
export interface ConditionContext {
  readonly runId: string;
  readonly state: Pick<StepState, "get" | "all">;
  /** The output of a step that has ended. @throws {StepOutputNotFoundError} */
  output<Output>(step: StepDefinition<string, never, Output>): Promise<Output>;
}

/** Decides whether a step runs, from what would be its input. It should be quick, and change nothing. */
export type Condition<Input> = (input: Input, ctx: ConditionContext) => boolean | Promise<boolean>;

/** A step in its place. `index` is its position in the definition, and its row's `executionIndex`. */
export interface PlannedStep {
  readonly index: number;
  readonly definition: StepDefinition;
}

/** What runs side by side: one step, or the steps of a `parallel`. */
export interface Stage {
  readonly parallel: boolean;
  readonly steps: readonly PlannedStep[];
  readonly condition: Condition<unknown> | null;
}

/** A workflow as the engine runs it: one stage after the other. */
export interface WorkflowPlan {
  readonly stages: readonly Stage[];
  readonly stepIds: ReadonlySet<string>;
}

/** The stage that step number `step` of the plan belongs to; the number of stages when there is no such step. */
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
