import { createRowCodec } from "./row-codec.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
  type WorkflowTables,
} from "./tables.ts";

/** The codecs of plain or prefixed tables. They differ only in the table names of errors. */
export function createRowCodecs(tables: WorkflowTables) {
  return {
    run: createRowCodec(tables.workflowRuns, ["runId"]),
    step: createRowCodec(tables.stepExecutions, ["runId", "stepId"]),
    attempt: createRowCodec(tables.stepAttempts, ["runId", "stepId", "attempt"]),
    output: createRowCodec(tables.stepOutputs, ["runId", "stepId"]),
    state: createRowCodec(tables.workflowState, ["runId", "key"]),
  };
}

export type RowCodecs = ReturnType<typeof createRowCodecs>;

export const rowCodecs = createRowCodecs({
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
});

/** The columns of a `StepExecutionSummary`. */
export const stepSummaryProperties = rowCodecs.step.properties.filter((name) => name !== "input");
