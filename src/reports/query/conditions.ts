import { and, eq, gte, lt, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { encodeDecoded } from "../../json.ts";
import type { Tags } from "../../schema/json-types.ts";
import { hasTags } from "../../schema/run-tags.ts";
import type { WorkflowRunsTable } from "../../schema/workflow-runs.ts";

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

/** True if the conditions need no column of a run that is in its row only. */
export function hasNoDetails({ workflowVersion, resourceId, tags = {} }: RunDetails): boolean {
  const hasNoTags = Object.keys(tags).length === 0;
  return workflowVersion === undefined && resourceId === undefined && hasNoTags;
}

/** Conditions on runs that no report uses to choose an index. */
export interface RunDetails {
  readonly workflowVersion?: string | undefined;
  readonly resourceId?: string | undefined;
  /** The run must have every pair. */
  readonly tags?: Readonly<Tags> | undefined;
}

export function withDetails(
  runs: WorkflowRunsTable,
  { workflowVersion, resourceId, tags }: RunDetails,
): SQL | undefined {
  return and(
    workflowVersion === undefined
      ? undefined
      : sql`${unindexed(runs.workflowVersion)} = ${workflowVersion}`,
    resourceId === undefined ? undefined : sql`${unindexed(runs.resourceId)} = ${resourceId}`,
    tags === undefined || Object.keys(tags).length === 0
      ? undefined
      : hasTags(runs, sql`${encodeDecoded(tags)}`),
  );
}

export interface RunConditions extends RunDetails {
  readonly workflowId?: string | undefined;
}

export function ofRuns(
  runs: WorkflowRunsTable,
  { workflowId, ...details }: RunConditions,
): SQL | undefined {
  return and(
    workflowId === undefined ? undefined : eq(runs.workflowId, workflowId),
    withDetails(runs, details),
  );
}

/** One item or several, as a list. */
export function listOf<Item extends string>(items: Item | readonly Item[]): readonly Item[] {
  return typeof items === "string" ? [items] : items;
}
