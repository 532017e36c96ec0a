// Mistakes that must not compile, in a project that knows nothing but the package.
import { defineStep, defineWorkflow, type WorkflowStore } from "gorkflow";
import type { NewWorkflowRun } from "gorkflow/schema";
import { z } from "zod";

const add = defineStep({
  id: "add",
  input: z.object({ a: z.number() }),
  output: z.object({ sum: z.number() }),
  run: ({ a }) => ({ sum: a }),
});
const shout = defineStep({
  id: "shout",
  input: z.string(),
  output: z.string(),
  run: (words) => words.toUpperCase(),
});

// @ts-expect-error the second step does not take what the first one gives
defineWorkflow({ id: "w", version: "1" }).step(add).step(shout);

// @ts-expect-error a status is one of five
export const run: NewWorkflowRun = { workflowId: "w", status: "DONE" };

export async function inputs(store: WorkflowStore): Promise<unknown[]> {
  const { runs } = await store.listRuns({ payloads: true });
  const { runs: summaries } = await store.listRuns();
  // @ts-expect-error payloads come only when they are asked for
  return [...runs.map((each) => each.input), ...summaries.map((each) => each.input)];
}
