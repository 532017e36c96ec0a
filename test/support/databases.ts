import { workflowRuns } from "../../src/schema/tables.ts";
import type { WorkflowDatabase } from "../../src/stores/libsql/libsql-store.ts";

/** Deletes every row. The children go with their runs. */
export async function emptyDatabase(db: WorkflowDatabase): Promise<void> {
  await db.delete(workflowRuns);
}
