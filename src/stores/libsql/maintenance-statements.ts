import {
  and,
  asc,
  count,
  desc,
  eq,
  inArray,
  isNotNull,
  isNull,
  lt,
  max,
  min,
  notExists,
  sql,
  type SQL,
} from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { WorkflowTables } from "../../schema/tables.ts";
import { runStatuses, type RunStatus } from "../../statuses.ts";
import { jsonBytes, limitTo, listOf } from "./fragments.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

type CandidateArgument =
  | "statuses"
  | "workflowId"
  | "kept"
  | "olderThan"
  | "afterTime"
  | "afterRunId"
  | "limit";

type OrphanArgument = "afterRunId" | "afterKey" | "limit";

/** Rows that a walk looks at in one statement, so that none takes long. */
export const walkedRows = 5000;

export function createMaintenanceStatements(db: Database, tables: WorkflowTables) {
  const {
    workflowRuns: runs,
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;

  /**
   * What a run must be to be deleted; checked once more when it is. `kept` maps a workflow to its oldest kept run.
   *
   * The unary plus keeps status and workflow from choosing the index: a walk over it would read and sort every
   * finished run again for each page, where the walk by time reads on.
   */
  const prunable = (
    argument: ArgumentReference<"statuses" | "workflowId" | "kept" | "olderThan">,
    ofWorkflow: boolean,
  ): SQL | undefined =>
    and(
      inArray(sql`+${runs.status}`, listOf(argument("statuses"))),
      ofWorkflow ? eq(sql`+${runs.workflowId}`, argument("workflowId")) : undefined,
      lt(sql`coalesce(${runs.completedAt}, ${runs.updatedAt})`, argument("olderThan")),
      sql`not exists (select 1 from json_each(${argument("kept")}) as kept
        where kept.key = ${runs.workflowId}
          and (${runs.createdAt}, ${runs.runId}) >= (kept.value ->> 0, kept.value ->> 1))`,
    );

  const ownedBy = (target: Database, runId: SQLiteColumn) =>
    target
      .select({ one: sql`1` })
      .from(runs)
      .where(eq(runs.runId, runId));

  const childKeys = [
    { table: steps, key: steps.stepId, runId: steps.runId },
    { table: attempts, key: attempts.stepId, runId: attempts.runId },
    { table: outputs, key: outputs.stepId, runId: outputs.runId },
    { table: state, key: state.key, runId: state.runId },
  ] as const satisfies { table: SQLiteTable; key: SQLiteColumn; runId: SQLiteColumn }[];

  return {
    /** Every workflow, by one look into the index for each: reading all runs would hold up everybody. */
    workflows: defineStatement(db, (target) =>
      target.select({ workflowId: sql<string>`workflow_id` }).from(
        sql`(with recursive names (workflow_id) as (
            select min(${runs.workflowId}) from ${runs}
            union all
            select (select min(${runs.workflowId}) from ${runs} where ${runs.workflowId} > names.workflow_id)
            from names where names.workflow_id is not null
          ) select workflow_id from names where workflow_id is not null)`,
      ),
    ),

    /** A workflow's oldest run that stays: the n-th newest, found among the n newest of each status. Time and run id. */
    oldestKept: defineStatement(
      db,
      (target, argument: ArgumentReference<"keepLast" | "workflowId">) => {
        const limit = limitTo(argument("keepLast"));
        const newestOf = (status: RunStatus) =>
          sql`select * from ${target
            .select({ createdAt: runs.createdAt, runId: runs.runId })
            .from(runs)
            .where(and(eq(runs.workflowId, argument("workflowId")), eq(runs.status, status)))
            .orderBy(desc(runs.createdAt), desc(runs.runId))
            .limit(limit)}`;
        const newest = sql.join(runStatuses.map(newestOf), sql` union all `);
        return target
          .select({ createdAt: sql<number>`created_at`, runId: sql<string>`run_id` })
          .from(sql`(select * from (${newest}) order by 1 desc, 2 desc limit ${limit})`)
          .orderBy(sql`1, 2`)
          .limit(1);
      },
    ),

    /** Runs to delete that have a `completedAt`, oldest first, after a position: run id and time. */
    completedCandidates: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument>) =>
        target
          .select({ runId: runs.runId, completedAt: runs.completedAt })
          .from(runs)
          .where(
            and(
              isNotNull(runs.completedAt),
              lt(runs.completedAt, argument("olderThan")),
              sql`(${runs.completedAt}, ${runs.runId}) > (${argument("afterTime")}, ${argument("afterRunId")})`,
              prunable(argument, ofWorkflow),
            ),
          )
          .orderBy(asc(runs.completedAt), asc(runs.runId))
          .limit(limitTo(argument("limit"))),
      ),
    ),

    /** The next runs of one status, by creation, whatever they are: run id, time, and whether they go (1). */
    walkStatus: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument | "status">) =>
        target
          .select({
            runId: runs.runId,
            createdAt: runs.createdAt,
            goes: sql<number>`${and(isNull(runs.completedAt), prunable(argument, ofWorkflow))}`,
          })
          .from(runs)
          .where(
            and(
              eq(runs.status, argument("status")),
              sql`(${runs.createdAt}, ${runs.runId}) > (${argument("afterTime")}, ${argument("afterRunId")})`,
            ),
          )
          .orderBy(asc(runs.createdAt), asc(runs.runId))
          .limit(limitTo(argument("limit"))),
      ),
    ),

    /** What the deletion of these runs takes along: runs, steps, attempts, outputs, state, bytes. */
    measure: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument | "runIds">) => {
        const going = target
          .select({ runId: runs.runId })
          .from(runs)
          .where(
            and(inArray(runs.runId, listOf(argument("runIds"))), prunable(argument, ofWorkflow)),
          );
        const from = (table: SQLiteTable, runId: SQLiteColumn, value: SQL) =>
          sql<number>`(select coalesce(${value}, 0) from ${table} where ${runId} in ${going})`;
        const rows = sql`count(*)`;
        return target
          .select({
            runs: from(runs, runs.runId, rows),
            steps: from(steps, steps.runId, rows),
            attempts: from(attempts, attempts.runId, rows),
            outputs: from(outputs, outputs.runId, rows),
            state: from(state, state.runId, rows),
            bytes: sql<number>`${from(runs, runs.runId, sumOfBytes(runs.input, runs.output, runs.error, runs.context, runs.tags))}
            + ${from(steps, steps.runId, sumOfBytes(steps.input, steps.error))}
            + ${from(attempts, attempts.runId, sumOfBytes(attempts.error))}
            + ${from(outputs, outputs.runId, sumOfBytes(outputs.output))}
            + ${from(state, state.runId, sumOfBytes(state.value))}`,
          })
          .from(sql`(select 1)`);
      }),
    ),

    /** Deletes these runs, as far as they are still to go. */
    prune: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument | "runIds">) =>
        target
          .delete(runs)
          .where(
            and(inArray(runs.runId, listOf(argument("runIds"))), prunable(argument, ofWorkflow)),
          ),
      ),
    ),

    /** For each child table: the next rows by key, and whether their run is missing (1). */
    orphans: childKeys.map(({ table, key, runId }) => ({
      walk: defineStatement(db, (target, argument: ArgumentReference<OrphanArgument>) =>
        target
          .select({ runId, key, orphaned: sql<number>`${notExists(ownedBy(target, runId))}` })
          .from(table)
          .where(sql`(${runId}, ${key}) > (${argument("afterRunId")}, ${argument("afterKey")})`)
          .orderBy(asc(runId), asc(key))
          .limit(limitTo(argument("limit"))),
      ),
      delete: defineStatement(db, (target, argument: ArgumentReference<"runIds">) =>
        target
          .delete(table)
          .where(
            and(inArray(runId, listOf(argument("runIds"))), notExists(ownedBy(target, runId))),
          ),
      ),
    })),

    /** Rows of each table. */
    countRows: defineStatement(db, (target) =>
      target
        .select({
          runs: sql<number>`(select ${count()} from ${runs})`,
          steps: sql<number>`(select ${count()} from ${steps})`,
          attempts: sql<number>`(select ${count()} from ${attempts})`,
          outputs: sql<number>`(select ${count()} from ${outputs})`,
          state: sql<number>`(select ${count()} from ${state})`,
        })
        .from(sql`(select 1)`),
    ),

    oldestRun: defineStatement(db, (target) =>
      target.select({ at: min(runs.createdAt) }).from(runs),
    ),
    newestRun: defineStatement(db, (target) =>
      target.select({ at: max(runs.createdAt) }).from(runs),
    ),

    /** Pages, free pages, bytes of a page, and how free pages are given back (2: when they are asked for). */
    pages: defineStatement(db, (target) =>
      target
        .select({
          pages: sql<number>`(select page_count from pragma_page_count())`,
          freePages: sql<number>`(select freelist_count from pragma_freelist_count())`,
          pageSize: sql<number>`(select page_size from pragma_page_size())`,
          autoVacuum: sql<number>`(select auto_vacuum from pragma_auto_vacuum())`,
        })
        .from(sql`(select 1)`),
    ),
  };
}

function sumOfBytes(...json: SQLiteColumn[]): SQL {
  return sql`sum(${jsonBytes(json)})`;
}
