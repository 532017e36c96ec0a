import {
  and,
  asc,
  count,
  eq,
  getTableColumns,
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
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { runStatuses, type RunStatus } from "../../../statuses.ts";
import {
  childParts,
  childTables,
  keyOf,
  listOf,
  rowValue,
  selectOne,
  type ChildPart,
} from "./fragments.ts";
import { jsonBytes, limitTo } from "./pages.ts";
import { cellAt } from "./run-filters.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

type PolicyArgument = "statuses" | "workflowId" | "olderThan";
type CandidateArgument = PolicyArgument | "afterTime" | "afterRunId" | "limit";
type BatchArgument = PolicyArgument | "runIds" | "beforeOldestKept";
type OrphanArgument = `after${number}` | `last${number}` | "limit";

/** The conditions of a policy. */
export interface PruneShape {
  readonly ofWorkflow: boolean;
  /** True if the newest runs of each workflow are kept. */
  readonly keeps: boolean;
}

const pruneKey = ({ ofWorkflow, keeps }: PruneShape): string => `${ofWorkflow}/${keeps}`;

/** The rows that one statement of a walk reads. */
export const walkedRows = 5000;

export function createMaintenanceStatements(
  db: Database,
  tables: WorkflowTables,
  codecs: RowCodecs,
) {
  const runs = tables.workflowRuns;
  const children = childTables(tables);

  /**
   * The conditions of a policy on a single run. The unary plus keeps status and workflow from choosing the index, because
   * each page would then read and sort all finished runs again.
   */
  const isOld = (argument: ArgumentReference<PolicyArgument>, ofWorkflow: boolean) =>
    and(
      inArray(sql`+${runs.status}`, listOf(argument("statuses"))),
      ofWorkflow ? eq(sql`+${runs.workflowId}`, argument("workflowId")) : undefined,
      lt(sql`coalesce(${runs.completedAt}, ${runs.updatedAt})`, argument("olderThan")),
    );

  /**
   * The oldest run of the same workflow that is kept; none if all are kept. The deleting statement itself looks it up,
   * because runs may be created and deleted in the meantime.
   */
  const oldestKept = (target: Database, argument: ArgumentReference<BatchArgument>) => {
    const newestOf = (status: RunStatus) =>
      target
        .select({ createdAt: runs.createdAt, runId: runs.runId })
        .from(runs)
        .where(and(sql`${runs.workflowId} = pruned.workflow_id`, eq(runs.status, status)))
        .getSQL();
    const newest = sql.join(runStatuses.map(newestOf), sql` union all `);
    return sql`(${newest} order by 1 desc, 2 desc limit 1 offset ${argument("beforeOldestKept")})`;
  };

  /** The runs of a batch to delete. Checked again here, because they may have changed since the query. */
  const goingOf = (
    target: Database,
    argument: ArgumentReference<BatchArgument>,
    { ofWorkflow, keeps }: PruneShape,
  ): SQL => {
    const named = inArray(runs.runId, listOf(argument("runIds")));
    const old = target
      .select({
        runId: runs.runId,
        workflowId: runs.workflowId,
        createdAt: runs.createdAt,
      })
      .from(runs)
      .where(and(named, isOld(argument, ofWorkflow)));
    const isBeyond = keeps
      ? sql` where (pruned.created_at, pruned.run_id) < ${oldestKept(target, argument)}`
      : sql``;
    return sql`(select pruned.run_id from ${old} as pruned${isBeyond})`;
  };

  const isOrphan = (target: Database, part: ChildPart) =>
    notExists(selectOne(target, runs, eq(runs.runId, keyOf(tables, codecs, part).runId)));

  return {
    /** The id and time of runs to delete that have a `completedAt`, oldest first, after a position. */
    completedCandidates: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument>) =>
        target
          .select({ runId: runs.runId, completedAt: runs.completedAt })
          .from(runs)
          .where(
            and(
              isNotNull(runs.completedAt),
              lt(runs.completedAt, argument("olderThan")),
              sql`(${runs.completedAt}, ${runs.runId}) > (${cellAt(argument("afterTime"))}, ${cellAt(argument("afterRunId"))})`,
              isOld(argument, ofWorkflow),
            ),
          )
          .orderBy(asc(runs.completedAt), asc(runs.runId))
          .limit(limitTo(argument("limit"))),
      ),
    ),

    /** The next runs of one status by creation: the id, the time, and 1 if the run is to be deleted. */
    walkStatus: statementFamily(String, (ofWorkflow: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<CandidateArgument | "status">) =>
        target
          .select({
            runId: runs.runId,
            createdAt: runs.createdAt,
            goes: sql<number>`${and(isNull(runs.completedAt), isOld(argument, ofWorkflow))}`,
          })
          .from(runs)
          .where(
            and(
              eq(runs.status, argument("status")),
              sql`(${runs.createdAt}, ${runs.runId}) > (${cellAt(argument("afterTime"))}, ${cellAt(argument("afterRunId"))})`,
            ),
          )
          .orderBy(asc(runs.createdAt), asc(runs.runId))
          .limit(limitTo(argument("limit"))),
      ),
    ),

    /** The ids of the runs of a batch to delete. */
    going: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) =>
        target.select({ runId: sql<string>`run_id` }).from(goingOf(target, argument, shape)),
      ),
    ),

    /** The rows of each table that the deletion of a batch deletes, and their bytes. */
    measure: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) => {
        // A common table expression is evaluated once.
        const going = target
          .$with("going")
          .as(
            target
              .select({ runId: sql<string>`run_id`.as("run_id") })
              .from(goingOf(target, argument, shape)),
          );
        const from = (table: SQLiteTable, runId: SQLiteColumn, value: SQL) =>
          sql<number>`(select coalesce(${value}, 0) from ${table} where ${runId} in (select run_id from ${going}))`;
        const counted = [
          { table: runs as SQLiteTable, runId: runs.runId as SQLiteColumn },
          ...childParts.map((part) => ({
            table: children[part],
            runId: keyOf(tables, codecs, part).runId,
          })),
        ];
        const bytes = counted.map(({ table, runId }) =>
          from(table, runId, sql`sum(${jsonBytes(Object.values(getTableColumns(table)))})`),
        );
        return target
          .with(going)
          .select({
            ...Object.fromEntries(
              counted.map(({ table, runId }, index) => [
                `rows${index}`,
                from(table, runId, sql`count(*)`),
              ]),
            ),
            bytes: sql.join(bytes, sql` + `),
          })
          .from(sql`(select 1)`);
      }),
    ),

    /** Deletes the runs of a batch. */
    prune: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) =>
        target.delete(runs).where(inArray(runs.runId, goingOf(target, argument, shape))),
      ),
    ),

    /** Finds and deletes the rows of a child table whose run does not exist. */
    orphans: childParts.map((part) => {
      const table: SQLiteTable = children[part];
      const { runId, others } = keyOf(tables, codecs, part);
      const key = [runId, ...others];
      const position = (argument: ArgumentReference<OrphanArgument>, name: "after" | "last") =>
        rowValue(key.map((_, index) => cellAt(argument(`${name}${index}`))));
      return {
        part,
        keyLength: key.length,
        /** The next rows after a key, and 1 if the run does not exist. */
        walk: defineStatement(db, (target, argument: ArgumentReference<OrphanArgument>) =>
          target
            .select({
              ...Object.fromEntries(key.map((column) => [column.name, column])),
              orphaned: sql<number>`${isOrphan(target, part)}`,
            })
            .from(table)
            .where(sql`${rowValue(key)} > ${position(argument, "after")}`)
            .orderBy(...key)
            .limit(limitTo(argument("limit"))),
        ),
        /** Deletes the orphans after a key, up to another key. */
        delete: defineStatement(db, (target, argument: ArgumentReference<OrphanArgument>) =>
          target
            .delete(table)
            .where(
              and(
                sql`${rowValue(key)} > ${position(argument, "after")}`,
                sql`${rowValue(key)} <= ${position(argument, "last")}`,
                isOrphan(target, part),
              ),
            ),
        ),
      };
    }),

    countRuns: defineStatement(db, (target) => target.select({ runs: count() }).from(runs)),

    /** The number of rows of each table, and the times of the oldest and the newest run. */
    stats: defineStatement(db, (target) =>
      target
        .select({
          ...Object.fromEntries(
            [runs, ...Object.values(children)].map((table, index) => [
              `rows${index}`,
              sql<number>`(select ${count()} from ${table})`,
            ]),
          ),
          oldest: sql`(select ${min(runs.createdAt)} from ${runs})`,
          newest: sql`(select ${max(runs.createdAt)} from ${runs})`,
        })
        .from(sql`(select 1)`),
    ),

    /** The number of pages and of free pages, the bytes of a page, and the mode of `auto_vacuum`. */
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
