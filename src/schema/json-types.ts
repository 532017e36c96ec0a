/** The labels of a run. Lists can filter by each pair. */
export type Tags = Record<string, string>;

/**
 * The types of the JSON columns: `createWorkflowTables().$type<{ Context: Trace }>()`. They are not checked at run time.
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

/** The type of a JSON column: that of the app, or the default. */
export type JsonOf<
  Json extends Partial<WorkflowJson>,
  Kind extends keyof WorkflowJson,
> = Kind extends keyof Json ? Json[Kind] : WorkflowJson[Kind];
