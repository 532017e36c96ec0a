import {
  and,
  asc,
  count,
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
import type { WorkflowTables } from "../../../schema/tables.ts";
import { runStatuses, type RunStatus } from "../../../statuses.ts";
import { jsonBytes, limitTo, listOf } from "./fragments.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

type PolicyArgument = "statuses" | "workflowId" | "olderThan";
type CandidateArgument = PolicyArgument | "afterTime" | "afterRunId" | "limit";
type BatchArgument = PolicyArgument | "runIds" | "beforeOldestKept";
type OrphanArgument = `after${number}` | "limit";

/** Which conditions a policy has. */
export interface PruneShape {
  readonly ofWorkflow: boolean;
  /** Whether the newest runs of each workflow stay. */
  readonly keeps: boolean;
}

const pruneKey = ({ ofWorkflow, keeps }: PruneShape): string => `${ofWorkflow}/${keeps}`;

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
   * What a policy says of a run by itself. The unary plus keeps status and workflow from choosing the index: a walk over
   * it would read and sort every finished run again for each page, where the walk by time reads on.
   */
  const isOld = (argument: ArgumentReference<PolicyArgument>, ofWorkflow: boolean) =>
    and(
      inArray(sql`+${runs.status}`, listOf(argument("statuses"))),
      ofWorkflow ? eq(sql`+${runs.workflowId}`, argument("workflowId")) : undefined,
      lt(sql`coalesce(${runs.completedAt}, ${runs.updatedAt})`, argument("olderThan")),
    );

  /**
   * The n-th newest run of the workflow of a run, which is the oldest that stays; none if all stay. It is looked up by the
   * statement that deletes: runs may come and go while others are deleted.
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

  /** The runs of a batch that go: checked where they are deleted, since they may have changed since they were found. */
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

  const ownedBy = (target: Database, runId: SQLiteColumn) =>
    target
      .select({ one: sql`1` })
      .from(runs)
      .where(eq(runs.runId, runId));

  const childKeys = [
    { table: steps, runId: steps.runId, key: [steps.runId, steps.stepId] },
    {
      table: attempts,
      runId: attempts.runId,
      key: [attempts.runId, attempts.stepId, attempts.attempt],
    },
    { table: outputs, runId: outputs.runId, key: [outputs.runId, outputs.stepId] },
    { table: state, runId: state.runId, key: [state.runId, state.key] },
  ] as const satisfies { table: SQLiteTable; runId: SQLiteColumn; key: SQLiteColumn[] }[];

  return {
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
              isOld(argument, ofWorkflow),
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
            goes: sql<number>`${and(isNull(runs.completedAt), isOld(argument, ofWorkflow))}`,
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

    /** The runs of a batch that go: run id. */
    going: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) =>
        target.select({ runId: sql<string>`run_id` }).from(goingOf(target, argument, shape)),
      ),
    ),

    /** What the deletion of a batch takes along: runs, steps, attempts, outputs, state, bytes. */
    measure: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) => {
        // Used more than once, it is evaluated once.
        const going = target
          .$with("going")
          .as(
            target
              .select({ runId: sql<string>`run_id`.as("run_id") })
              .from(goingOf(target, argument, shape)),
          );
        const from = (table: SQLiteTable, runId: SQLiteColumn, value: SQL) =>
          sql<number>`(select coalesce(${value}, 0) from ${table} where ${runId} in (select run_id from ${going}))`;
        const rows = sql`count(*)`;
        return target
          .with(going)
          .select({
            runs: from(runs, runs.runId, rows),
            steps: from(steps, steps.runId, rows),
            attempts: from(attempts, attempts.runId, rows),
            outputs: from(outputs, outputs.runId, rows),
            state: from(state, state.runId, rows),
            bytes: sql<number>`${from(runs, runs.runId, sumOfBytes(runs.input, runs.output, runs.error, runs.context, runs.tags))}
            + ${from(steps, steps.runId, sumOfBytes(steps.input, steps.inputFrom, steps.error))}
            + ${from(attempts, attempts.runId, sumOfBytes(attempts.error))}
            + ${from(outputs, outputs.runId, sumOfBytes(outputs.output))}
            + ${from(state, state.runId, sumOfBytes(state.value))}`,
          })
          .from(sql`(select 1)`);
      }),
    ),

    /** Deletes the runs of a batch that go. */
    prune: statementFamily(pruneKey, (shape: PruneShape) =>
      defineStatement(db, (target, argument: ArgumentReference<BatchArgument>) =>
        target.delete(runs).where(inArray(runs.runId, goingOf(target, argument, shape))),
      ),
    ),

    /** For each child table: the next rows by key, with whether their run is missing (1), and what deletes those. */
    orphans: childKeys.map(({ table, runId, key }) => {
      const after = (argument: ArgumentReference<OrphanArgument>) =>
        sql`(${sql.join([...key], sql`, `)}) > (${sql.join(
          key.map((_, index) => argument(`after${index}`)),
          sql`, `,
        )})`;
      return {
        keyLength: key.length,
        walk: defineStatement(db, (target, argument: ArgumentReference<OrphanArgument>) =>
          target
            .select({
              ...Object.fromEntries(key.map((column, index) => [`key${index}`, column])),
              orphaned: sql<number>`${notExists(ownedBy(target, runId))}`,
            })
            .from(table)
            .where(after(argument))
            .orderBy(...key)
            .limit(limitTo(argument("limit"))),
        ),
        /** Of the rows after a key, to another one. */
        delete: defineStatement(
          db,
          (target, argument: ArgumentReference<OrphanArgument | `last${number}`>) =>
            target.delete(table).where(
              and(
                after(argument),
                sql`(${sql.join([...key], sql`, `)}) <= (${sql.join(
                  key.map((_, index) => argument(`last${index}`)),
                  sql`, `,
                )})`,
                notExists(ownedBy(target, runId)),
              ),
            ),
        ),
      };
    }),

    /** All runs: SQLite counts the entries of an index without reading them. */
    countRuns: defineStatement(db, (target) => target.select({ runs: count() }).from(runs)),

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
