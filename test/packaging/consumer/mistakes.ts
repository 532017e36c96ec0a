// Mistakes that must not compile in a project that uses the package.
import { defineStep, defineWorkflow, type WorkflowStore } from "gorkflow";
import type { NewWorkflowRun } from "gorkflow/schema";
import type { drizzle } from "drizzle-orm/libsql";
import { createWorkflowRelations, createWorkflowTables } from "gorkflow/schema";
import { z } from "zod";
import { tables, type appSchema } from "./own-tables.js";

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

// @ts-expect-error the input of the second step is not the output of the first
defineWorkflow({ id: "w", version: "1" }).step(add).step(shout);

// @ts-expect-error a status is one of five
export const run: NewWorkflowRun = { workflowId: "w", status: "DONE" };

export async function inputs(store: WorkflowStore): Promise<unknown[]> {
  const { runs } = await store.listRuns({ payloads: true });
  const { runs: summaries } = await store.listRuns();
  // @ts-expect-error payloads come only when they are asked for
  return [...runs.map((each) => each.input), ...summaries.map((each) => each.input)];
}

// @ts-expect-error tags are an object of strings
createWorkflowTables<{ Tags: { n: number } }>();

// @ts-expect-error there is no such kind of JSON
createWorkflowTables<{ Label: string }>();

// @ts-expect-error the app said that runs carry a trace
export const untraced: typeof tables.workflowRuns.$inferInsert = { workflowId: "w", context: {} };

// @ts-expect-error not all of the tables
createWorkflowRelations({ workflowRuns: tables.workflowRuns });

type Database = ReturnType<typeof drizzle<typeof appSchema>>;
export async function queries({ query }: Database): Promise<unknown[]> {
  const [found] = await query.workflowRuns.findMany({ with: { steps: true } });
  return [
    // @ts-expect-error the tags that the app named, and no others
    found?.tags?.country,
    // @ts-expect-error what was not asked for is not there
    found?.outputs,
    // @ts-expect-error a step has no such column
    found?.steps[0]?.output,
    // @ts-expect-error there is no such relation
    await query.workflowRuns.findMany({ with: { parcels: true } }),
    // @ts-expect-error there is no such column
    await query.workflowRuns.findMany({ columns: { payload: true } }),
  ];
}
