import { asc, eq } from "drizzle-orm";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowPause } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { argumentsFor } from "./fragments.ts";
import { pick } from "./pages.ts";
import {
  defineFollowUp,
  defineStatement,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export function createPauseStatements(
  db: Database,
  { workflowPauses: pauses }: WorkflowTables,
  { pauses: { properties } }: RowCodecs,
) {
  const isOf = (argument: ArgumentReference<"workflowId">) =>
    eq(pauses.workflowId, argument("workflowId"));

  return {
    /** Changes nothing if the workflow is paused. */
    insert: defineStatement(db, (target, argument: ArgumentReference<keyof WorkflowPause>) =>
      target
        .insert(pauses)
        .values(argumentsFor(properties, argument))
        .onConflictDoNothing({ target: pauses.workflowId }),
    ),

    delete: defineStatement(db, (target, argument: ArgumentReference<"workflowId">) =>
      target.delete(pauses).where(isOf(argument)),
    ),

    /** The id of the workflow if it is paused. */
    find: defineFollowUp(db, (target, argument: ArgumentReference<"workflowId">) =>
      target.select({ workflowId: pauses.workflowId }).from(pauses).where(isOf(argument)),
    ),

    list: defineStatement(db, (target) =>
      target.select(pick(pauses, properties)).from(pauses).orderBy(asc(pauses.workflowId)),
    ),
  };
}
