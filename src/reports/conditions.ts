import { and, eq, gte, lt, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { WorkflowRunsTable } from "../schema/workflow-runs.ts";

export interface Window {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** True from `since`, and before `until`. */
export function within(time: SQLiteColumn | SQL, { since, until }: Window): SQL | undefined {
  const at = sql`${time}`;
  return and(
    since === undefined ? undefined : gte(at, since.getTime()),
    until === undefined ? undefined : lt(at, until.getTime()),
  );
}

/** The column with a plus sign, so that SQLite does not choose an index because of it. */
export function unindexed(column: SQLiteColumn): SQL {
  return sql`+${column}`;
}

export function isWindow({ since, until }: Window): boolean {
  return since !== undefined || until !== undefined;
}

export function ofWorkflow(
  runs: WorkflowRunsTable,
  { workflowId }: { readonly workflowId?: string | undefined },
): SQL | undefined {
  return workflowId === undefined ? undefined : eq(runs.workflowId, workflowId);
}

/** One item or several, as a list. */
export function listOf<Item extends string>(items: Item | readonly Item[]): readonly Item[] {
  return typeof items === "string" ? [items] : items;
}
