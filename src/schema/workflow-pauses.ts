import { sqliteTable } from "drizzle-orm/sqlite-core";
import { text, writeTime } from "./columns.ts";

function pauseColumns() {
  return {
    workflowId: text("workflow_id").primaryKey(),
    pausedAt: writeTime("paused_at"),
    reason: text("reason"),
  };
}

export type WorkflowPausesTable<Prefix extends string = string> = ReturnType<
  typeof sqliteTable<`${Prefix}workflow_pauses`, ReturnType<typeof pauseColumns>>
>;

/** The paused workflows. Claims leave out their runs. */
export function createWorkflowPausesTable<Prefix extends string>(
  prefix: Prefix,
): WorkflowPausesTable<Prefix> {
  return sqliteTable(`${prefix}workflow_pauses` as const, pauseColumns());
}
