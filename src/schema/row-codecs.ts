import { createRowCodec } from "./row-codec.ts";
import { payloadColumns, type WorkflowRunSummary } from "./rows.ts";
import { tables as plainTables, type WorkflowTables } from "./tables.ts";

/** The codecs of plain or prefixed tables, named like the parts of a bundle, and of the pauses. They differ only in the table names of errors. */
export function createRowCodecs(tables: WorkflowTables) {
  return {
    run: createRowCodec(tables.workflowRuns, ["runId"]),
    steps: createRowCodec(tables.stepExecutions, ["runId", "stepId"], ["workflowId"]),
    attempts: createRowCodec(tables.stepAttempts, ["runId", "stepId", "attempt"]),
    outputs: createRowCodec(tables.stepOutputs, ["runId", "stepId"]),
    state: createRowCodec(tables.workflowState, ["runId", "key"]),
    pauses: createRowCodec(tables.workflowPauses, ["workflowId"]),
  };
}

export type RowCodecs = ReturnType<typeof createRowCodecs>;

export const rowCodecs: RowCodecs = createRowCodecs(plainTables);

/** The columns of a `WorkflowRunSummary`. */
export const runSummaryProperties = rowCodecs.run.properties.filter(
  (name): name is keyof WorkflowRunSummary => !(payloadColumns as readonly string[]).includes(name),
);

/** The columns of a `StepExecutionSummary`. */
export const stepSummaryProperties = rowCodecs.steps.properties.filter((name) => name !== "input");
