import type { Many, One } from "drizzle-orm";
import type { RelationsPart } from "../drizzle-types.ts";
import { defineRelationsPart } from "../drizzle.ts";
import { UnsupportedError } from "../errors.ts";
import type { WorkflowJson } from "./json-types.ts";
import type { WorkflowTables } from "./tables.ts";

/** The result of `createWorkflowRelationsPart`: a part of the relations of an app. */
export type WorkflowRelationsPart<
  Prefix extends string = "",
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = RelationsPart<
  {
    workflowRuns: {
      steps: Many<"stepExecutions">;
      attempts: Many<"stepAttempts">;
      outputs: Many<"stepOutputs">;
      state: Many<"workflowState">;
    };
    stepExecutions: { run: One<"workflowRuns", false>; attempts: Many<"stepAttempts"> };
    stepAttempts: { run: One<"workflowRuns", false>; step: One<"stepExecutions", true> };
    stepOutputs: { run: One<"workflowRuns", false> };
    workflowState: { run: One<"workflowRuns", false> };
  },
  WorkflowTables<Prefix, Json>
>;

/** The tables whose rows belong to runs. */
type Child = Exclude<keyof WorkflowTables, "workflowRuns" | "workflowPauses">;

/** The part of the argument of `defineRelationsPart`'s callback that is used here. */
interface Helpers {
  readonly one: Record<keyof WorkflowTables, (config: object) => object>;
  readonly many: Record<keyof WorkflowTables, (config: object) => object>;
  readonly workflowRuns: { readonly runId: object };
  readonly stepExecutions: { readonly runId: object; readonly stepId: object };
  readonly stepAttempts: { readonly runId: object; readonly stepId: object };
  readonly stepOutputs: { readonly runId: object };
  readonly workflowState: { readonly runId: object };
}

/**
 * Returns the relations between tables of `createWorkflowTables` on Drizzle 1.0. Spread them into the `relations` of your
 * `drizzle({ client, relations })`.
 *
 * @throws {UnsupportedError} on Drizzle 0.45. See `createWorkflowRelations` of `gorkflow/schema`.
 */
export function createWorkflowRelationsPart<
  Json extends Partial<WorkflowJson> = WorkflowJson,
  Prefix extends string = "",
>({
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
  workflowPauses,
}: WorkflowTables<Prefix, Json>): WorkflowRelationsPart<Prefix, Json> {
  if (defineRelationsPart === null) {
    throw new UnsupportedError({
      feature: "gorkflow/relations",
      reason:
        "it is for Drizzle 1.0: on 0.45 use `schema` or createWorkflowRelations of gorkflow/schema",
    });
  }
  const tables = {
    workflowRuns,
    stepExecutions,
    stepAttempts,
    stepOutputs,
    workflowState,
    workflowPauses,
  };
  return defineRelationsPart(tables, (r: Helpers) => {
    const run = (child: Child) =>
      r.one.workflowRuns({ from: r[child].runId, to: r.workflowRuns.runId, optional: false });
    const ofRun = (child: Child) =>
      r.many[child]({ from: r.workflowRuns.runId, to: r[child].runId });
    const step = [r.stepExecutions.runId, r.stepExecutions.stepId];
    const attempt = [r.stepAttempts.runId, r.stepAttempts.stepId];
    return {
      workflowRuns: {
        steps: ofRun("stepExecutions"),
        attempts: ofRun("stepAttempts"),
        outputs: ofRun("stepOutputs"),
        state: ofRun("workflowState"),
      },
      stepExecutions: {
        run: run("stepExecutions"),
        attempts: r.many.stepAttempts({ from: step, to: attempt }),
      },
      stepAttempts: {
        run: run("stepAttempts"),
        step: r.one.stepExecutions({ from: attempt, to: step }),
      },
      stepOutputs: { run: run("stepOutputs") },
      workflowState: { run: run("workflowState") },
    };
  }) as WorkflowRelationsPart<Prefix, Json>;
}
