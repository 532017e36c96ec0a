import type { WorkflowJson } from "./json-types.ts";
import type {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowPauses,
  workflowRuns,
  workflowState,
} from "./tables.ts";

/** A run: a row of `workflow_runs`. `docs/tables.md` describes the columns of all tables. */
export type WorkflowRun = typeof workflowRuns.$inferSelect;
/** The argument of `createRun`. Only `workflowId` is required. */
export type NewWorkflowRun = typeof workflowRuns.$inferInsert;
/** The execution of a step: a row of `step_executions`. */
export type StepExecution = Omit<typeof stepExecutions.$inferSelect, "workflowId">;
export type NewStepExecution = Omit<typeof stepExecutions.$inferInsert, "workflowId">;
/** The outcome of an attempt: a row of `step_attempts`. */
export type StepAttempt = typeof stepAttempts.$inferSelect;
export type NewStepAttempt = typeof stepAttempts.$inferInsert;
/** The output of a step: a row of `step_outputs`. */
export type StepOutput = typeof stepOutputs.$inferSelect;
export type NewStepOutput = typeof stepOutputs.$inferInsert;
/** A state value of a run: a row of `workflow_state`. */
export type WorkflowState = typeof workflowState.$inferSelect;
export type NewWorkflowState = typeof workflowState.$inferInsert;
/** A paused workflow: a row of `workflow_pauses`. */
export type WorkflowPause = typeof workflowPauses.$inferSelect;

/** The columns of a run that may be large. Lists, claims and updates do not return them. */
export const payloadColumns = [
  "input",
  "output",
  "context",
] as const satisfies (keyof WorkflowRun)[];

/** The JSON columns of a run. */
export const jsonRunColumns = [
  ...payloadColumns,
  "error",
  "tags",
] as const satisfies (keyof WorkflowRun)[];

/** `Run` without its payload columns. */
export type SummaryOf<Run> = Omit<Run, (typeof payloadColumns)[number]>;
/** A run without its payload columns. */
export type WorkflowRunSummary = SummaryOf<WorkflowRun>;
/** A step execution without its input. */
export type StepExecutionSummary = Omit<StepExecution, "input">;

/** The kinds of JSON in the columns of a run and of a step. */
interface RunJson {
  input: "Input";
  output: "Output";
  error: "Error";
  context: "Context";
  tags: "Tags";
}
interface StepJson {
  input: "StepInput";
  error: "StepError";
}

/** A `WorkflowRun` with the app's types of JSON columns. */
export type RunOf<Json extends WorkflowJson> = {
  [Column in keyof WorkflowRun]: Column extends keyof RunJson
    ? Json[RunJson[Column]] | null
    : WorkflowRun[Column];
};
/** A `NewWorkflowRun` with the app's types of JSON columns. */
export type NewRunOf<Json extends WorkflowJson> = {
  [Column in keyof NewWorkflowRun]: Column extends keyof RunJson
    ? Json[RunJson[Column]] | null | undefined
    : NewWorkflowRun[Column];
};
/** A `StepExecution` with the app's types of JSON columns. */
export type StepOf<Json extends WorkflowJson> = {
  [Column in keyof StepExecution]: Column extends keyof StepJson
    ? Json[StepJson[Column]] | null
    : StepExecution[Column];
};
