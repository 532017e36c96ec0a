/** The labels of a run. Every pair can be filtered by. */
export type Tags = Record<string, string>;

/**
 * What the JSON columns hold, as far as the compiler is told: `createWorkflowTables<{ Context: Trace }>()`.
 *
 * It is the app's word for what the app writes. Rows are not checked against it when they are read.
 */
export interface WorkflowJson {
  Tags: Tags;
  Context: unknown;
  Input: unknown;
  Output: unknown;
  Error: unknown;
  StepInput: unknown;
  StepOutput: unknown;
  StepError: unknown;
  State: unknown;
}

/** The type of one kind of JSON: the app's, where it says one. */
export type JsonOf<
  Json extends Partial<WorkflowJson>,
  Kind extends keyof WorkflowJson,
> = Kind extends keyof Json ? Json[Kind] : WorkflowJson[Kind];
