import type { InferInsertModel, InferSelectModel } from "drizzle-orm";
import { expectTypeOf } from "vitest";
import type { z } from "zod";
import type * as schemas from "../../src/schema/index.ts";
import {
  createWorkflowTables,
  type stepAttempts,
  type stepExecutions,
  type stepOutputs,
  type workflowRuns,
  type workflowPauses,
  type workflowState,
} from "../../src/schema/tables.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import type { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";

type Schemas = typeof schemas;
/** Optional and undefined are the same to a caller; what remains must be equal, key by key. */
type Loose<T> = { [Key in keyof T]-?: Exclude<T[Key], undefined> };

// What the codecs read is what the tables say, and what they take can be inserted.
expectTypeOf<z.output<Schemas["workflowRunSchema"]>>().toEqualTypeOf<
  InferSelectModel<typeof workflowRuns>
>();
expectTypeOf<z.output<Schemas["stepExecutionSchema"]>>().toEqualTypeOf<
  Omit<InferSelectModel<typeof stepExecutions>, "workflowId">
>();
expectTypeOf<z.output<Schemas["stepAttemptSchema"]>>().toEqualTypeOf<
  InferSelectModel<typeof stepAttempts>
>();
expectTypeOf<z.output<Schemas["stepOutputSchema"]>>().toEqualTypeOf<
  InferSelectModel<typeof stepOutputs>
>();
expectTypeOf<z.output<Schemas["workflowStateSchema"]>>().toEqualTypeOf<
  InferSelectModel<typeof workflowState>
>();
expectTypeOf<z.output<Schemas["workflowPauseSchema"]>>().toEqualTypeOf<
  InferSelectModel<typeof workflowPauses>
>();
expectTypeOf<Loose<z.output<Schemas["newWorkflowRunSchema"]>>>().toEqualTypeOf<
  Loose<InferInsertModel<typeof workflowRuns>>
>();
expectTypeOf<Loose<z.output<Schemas["newStepExecutionSchema"]>>>().toEqualTypeOf<
  Loose<Omit<InferInsertModel<typeof stepExecutions>, "workflowId">>
>();
expectTypeOf<Loose<z.output<Schemas["newStepAttemptSchema"]>>>().toEqualTypeOf<
  Loose<InferInsertModel<typeof stepAttempts>>
>();

// The named types are those of the tables.
expectTypeOf<schemas.WorkflowRun>().toEqualTypeOf<typeof workflowRuns.$inferSelect>();
expectTypeOf<schemas.WorkflowRun["status"]>().toEqualTypeOf<schemas.RunStatus>();
expectTypeOf<schemas.StepExecution["status"]>().toEqualTypeOf<schemas.StepStatus>();
expectTypeOf<schemas.WorkflowRun["createdAt"]>().toEqualTypeOf<Date>();
expectTypeOf<schemas.WorkflowRun["tags"]>().toEqualTypeOf<Record<string, string> | null>();
expectTypeOf<schemas.WorkflowRun["wakeAt"]>().toEqualTypeOf<Date | null>();

// A prefix is a part of the tables' names, in the types as well.
const prefixed = createWorkflowTables({ prefix: "app_" });
expectTypeOf<(typeof prefixed)["workflowRuns"]["_"]["name"]>().toEqualTypeOf<"app_workflow_runs">();
expectTypeOf<
  (typeof prefixed)["workflowRuns"]["$inferSelect"]
>().toEqualTypeOf<schemas.WorkflowRun>();

// Payloads are there when they are asked for.
declare const store: WorkflowStore;
expectTypeOf(store.listRuns({ payloads: true })).resolves.toExtend<{
  runs: { input: unknown }[];
}>();
expectTypeOf(store.getRuns(["r"])).resolves.toEqualTypeOf<schemas.WorkflowRun[]>();
expectTypeOf(store.getRuns(["r"], { payloads: false })).resolves.toEqualTypeOf<
  schemas.WorkflowRunSummary[]
>();
// @ts-expect-error a list of ids, not one
void store.getRuns("r");
expectTypeOf(store.listRuns()).resolves.toHaveProperty("runs").items.not.toHaveProperty("input");
expectTypeOf(store.updateRun("r", {})).resolves.not.toHaveProperty("output");

// @ts-expect-error a column that belongs to the lease is not the caller's to change
void store.updateRun("r", { workerId: "w" });
// @ts-expect-error a status is one of five
void store.updateRun("r", { status: "DONE" });
// @ts-expect-error a run belongs to a workflow
void store.createRun({ runId: "r" });

// The store's database is typed with the schema.
declare const libsql: LibSQLStore;
expectTypeOf(
  libsql.db.query.workflowRuns.findMany({ with: { steps: true } }),
).resolves.items.toHaveProperty("steps");
