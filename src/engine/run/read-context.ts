import { InvalidArgumentError } from "../../errors.ts";
import { decodeJson } from "../../json.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  parseStepInput,
  parseStepValue,
  type StandardSchema,
} from "../definition/standard-schema.ts";
import type { ConditionContext, StepDefinition } from "../definition/step-definition.ts";
import { withoutTrace } from "../observe/trace-context.ts";
import { loadStageInput } from "./run-loading.ts";
import type { RunScope } from "./run-scope.ts";

/** The context of a condition, and the reading part of a step's context. `open` returns the store for each read. */
export function createReadContext(
  { workflow, run }: Pick<RunScope, "workflow" | "run">,
  stepId: string,
  open: () => WorkflowStore,
): ConditionContext {
  const { runId } = run;
  const { stages } = workflow.plan;

  function parse(value: unknown, schema: StandardSchema | undefined, root: string): unknown {
    return schema === undefined ? value : parseStepValue(schema, value, { stepId, root });
  }

  function stageOf({ id }: StepDefinition): number {
    const index = stages.findIndex(({ steps }) => steps.some((step) => step.definition.id === id));
    if (index >= 0) return index;
    throw new InvalidArgumentError({
      argument: "step",
      reason: `${id} is not a step of workflow ${workflow.id}`,
    });
  }

  return {
    runId,
    state: {
      async get(key: string, schema?: StandardSchema): Promise<unknown> {
        const entry = await open().findState(runId, key);
        return entry === null ? undefined : parse(entry.value, schema, `state.${key}`);
      },
      has: async (key) => (await open().findState(runId, key)) !== null,
      all: async () => open().getAllState(runId),
    },
    async runInput(schema?: StandardSchema): Promise<unknown> {
      const { input } = await open().getRun(runId);
      if (schema === undefined) return input;
      return parseStepInput(schema, input, { stepId, root: "run.input" });
    },
    async context(schema?: StandardSchema): Promise<unknown> {
      return parse(withoutTrace((await open().getRun(runId)).context), schema, "run.context");
    },
    async input<Input>(step: StepDefinition<string, Input>): Promise<Input> {
      const { text } = await loadStageInput(open(), workflow.plan, runId, stageOf(step));
      // The builder's types ensure that the step accepts it.
      return decodeJson(text) as Input;
    },
    async output<Output>(step: StepDefinition<string, never, Output>): Promise<Output> {
      stageOf(step);
      // The output comes from the step's output schema.
      return (await open().loadStepOutput(runId, step.id)) as Output;
    },
    async hasOutput(step) {
      stageOf(step);
      return (await open().findStepOutput(runId, step.id)) !== null;
    },
  };
}
