import type { Tags, WorkflowJson } from "./json-types.ts";
import { createStepAttemptsTable, type StepAttemptsTable } from "./step-attempts.ts";
import { createStepExecutionsTable, type StepExecutionsTable } from "./step-executions.ts";
import { createStepOutputsTable, type StepOutputsTable } from "./step-outputs.ts";
import { createWorkflowPausesTable, type WorkflowPausesTable } from "./workflow-pauses.ts";
import { createWorkflowRunsTable, type WorkflowRunsTable } from "./workflow-runs.ts";
import { createWorkflowStateTable, type WorkflowStateTable } from "./workflow-state.ts";

/** The tables of a store, with or without a prefix. */
export type WorkflowTables<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = {
  workflowRuns: WorkflowRunsTable<Prefix, Json>;
  stepExecutions: StepExecutionsTable<Prefix, Json>;
  stepAttempts: StepAttemptsTable<Prefix, Json>;
  stepOutputs: StepOutputsTable<Prefix, Json>;
  workflowState: WorkflowStateTable<Prefix, Json>;
  workflowPauses: WorkflowPausesTable<Prefix>;
};

/** The type of a cell of these tables. */
type CellOf<
  Tables extends WorkflowTables,
  Table extends keyof WorkflowTables,
  Column extends string,
> = Tables[Table]["$inferSelect"] extends { readonly [Name in Column]: infer Cell } ? Cell : never;

/** The same type without null, which stands for an empty cell. */
type JsonOfCell<
  Tables extends WorkflowTables,
  Table extends keyof WorkflowTables,
  Column extends string,
> =
  unknown extends CellOf<Tables, Table, Column>
    ? unknown
    : NonNullable<CellOf<Tables, Table, Column>>;

/** The types of the JSON columns of these tables. */
export type JsonOfTables<Tables extends WorkflowTables> = {
  Tags: Extract<CellOf<Tables, "workflowRuns", "tags">, Tags>;
  Context: JsonOfCell<Tables, "workflowRuns", "context">;
  Input: JsonOfCell<Tables, "workflowRuns", "input">;
  Output: JsonOfCell<Tables, "workflowRuns", "output">;
  Error: JsonOfCell<Tables, "workflowRuns", "error">;
  StepInput: JsonOfCell<Tables, "stepExecutions", "input">;
  StepOutput: CellOf<Tables, "stepOutputs", "output">;
  StepError: JsonOfCell<Tables, "stepExecutions", "error">;
  State: CellOf<Tables, "workflowState", "value">;
};

/** The result of `createWorkflowTables`. */
export type NewWorkflowTables<Prefix extends string> = WorkflowTables<Prefix> & {
  /** Returns the tables with the app's own types of JSON columns, which are not checked at run time. */
  $type<Json extends Partial<WorkflowJson>>(): WorkflowTables<Prefix, Json>;
};

/**
 * Returns the tables with names that begin with `prefix`. `$type` gives the JSON columns the app's own types:
 * `createWorkflowTables({ prefix: "app_" }).$type<{ Context: Trace }>()`.
 */
export function createWorkflowTables<Prefix extends string = "">(options?: {
  readonly prefix?: Prefix;
}): NewWorkflowTables<Prefix>;
export function createWorkflowTables<
  Json extends Partial<WorkflowJson>,
  Prefix extends string = "",
>(options?: { readonly prefix?: Prefix }): WorkflowTables<Prefix, Json>;
export function createWorkflowTables(options: { readonly prefix?: string } = {}): WorkflowTables {
  const { prefix = "" } = options;
  const workflowRuns = createWorkflowRunsTable(prefix);
  const created = {
    workflowRuns,
    stepExecutions: createStepExecutionsTable(prefix, workflowRuns),
    stepAttempts: createStepAttemptsTable(prefix, workflowRuns),
    stepOutputs: createStepOutputsTable(prefix, workflowRuns),
    workflowState: createWorkflowStateTable(prefix, workflowRuns),
    workflowPauses: createWorkflowPausesTable(prefix),
  };
  // Not enumerable, because a schema of Drizzle may be made of all properties.
  return Object.defineProperty(created, "$type", { value: () => ({ ...created }) });
}

/** The tables without a prefix. */
export const tables: WorkflowTables<""> = createWorkflowTables();

export const workflowRuns: WorkflowRunsTable<""> = tables.workflowRuns;
export const stepExecutions: StepExecutionsTable<""> = tables.stepExecutions;
export const stepAttempts: StepAttemptsTable<""> = tables.stepAttempts;
export const stepOutputs: StepOutputsTable<""> = tables.stepOutputs;
export const workflowState: WorkflowStateTable<""> = tables.workflowState;
export const workflowPauses: WorkflowPausesTable<""> = tables.workflowPauses;
