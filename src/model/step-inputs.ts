import type { StepExecution } from "../schema/rows.ts";

/** The steps whose outputs are the input of a step; empty if the input is in its row. */
export function inputSteps({ inputFrom }: Pick<StepExecution, "inputFrom">): readonly string[] {
  if (inputFrom === null) return [];
  return typeof inputFrom === "string" ? [inputFrom] : inputFrom;
}

/**
 * The step with its input. `outputOf` returns a copy of the output of another step of the run; null if it has none.
 */
export function withInput(
  step: StepExecution,
  outputOf: (stepId: string) => unknown,
): StepExecution {
  const { inputFrom } = step;
  if (inputFrom === null) return step;
  const input =
    typeof inputFrom === "string"
      ? outputOf(inputFrom)
      : Object.fromEntries(inputFrom.map((stepId) => [stepId, outputOf(stepId)]));
  return { ...step, input };
}

/** The columns of an input. An input that consists of stored outputs is not stored again. */
export function withoutDerivedInput<Step extends Partial<StepExecution>>(step: Step): Step {
  const isDerived = step.inputFrom !== undefined && step.inputFrom !== null;
  return isDerived ? { ...step, input: null } : step;
}
