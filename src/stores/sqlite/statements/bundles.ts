import {
  and,
  eq,
  exists,
  gt,
  inArray,
  ne,
  notExists,
  or,
  sql,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { RunBundle } from "../../../model/bundles.ts";
import { frozenStepStatuses, isFrozenStepStatus } from "../../../model/transitions.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import {
  argumentsFor,
  childTables,
  keyOf,
  replacement,
  rowIf,
  rowValue,
  selectOne,
  type ChildPart,
} from "./fragments.ts";
import type { RunProperty } from "./runs.ts";
import {
  defineRowStatement,
  defineStatement,
  type ArgumentReference,
  type Builder,
  type Database,
} from "./statement.ts";

export function createBundleStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  return {
    /** One row if the run exists. */
    exists: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      selectOne(target, runs, eq(runs.runId, argument("runId"))),
    ),

    newer: defineRowStatement(db, (target, argument: ArgumentReference<NewerArgument>) =>
      newerRun(target, tables, argument),
    ),

    /**
     * Replaces the columns of the run with this id, or inserts it. Rows of the app that reference it stay. Changes nothing
     * if another run has its idempotency key.
     */
    putRun: defineStatement(db, (target, argument: ArgumentReference<RunProperty>) => {
      const { properties } = codecs.run;
      const holdsKey = and(
        eq(runs.workflowId, argument("workflowId")),
        eq(runs.idempotencyKey, argument("idempotencyKey")),
        ne(runs.runId, argument("runId")),
      );
      return target
        .insert(runs)
        .select(rowIf(properties.map(argument), notExists(selectOne(target, runs, holdsKey))))
        .onConflictDoUpdate({
          target: runs.runId,
          set: replacement(runs, properties, ["runId"]),
        });
    }),

    steps: createPartStatements("steps", {
      workflowId: (argument) =>
        sql`(select ${runs.workflowId} from ${runs} where ${eq(runs.runId, argument("runId"))})`,
    }),
    attempts: createPartStatements("attempts"),
    outputs: createPartStatements("outputs"),
    state: createPartStatements("state"),
  };

  function createPartStatements(
    part: ChildPart,
    derived: Readonly<Record<string, (argument: ArgumentReference<string>) => SQL>> = {},
  ) {
    const table: SQLiteTable = childTables(tables)[part];
    const properties: readonly string[] = codecs[part].properties;
    const written = [...properties, ...Object.keys(derived)];
    const { runId, others } = keyOf(tables, codecs, part);
    return {
      /** Replaces the row with this key, or inserts it. */
      put: defineStatement(db, (target, argument: ArgumentReference<string>) =>
        target
          .insert(table)
          .values({
            ...argumentsFor(properties, argument),
            ...Object.fromEntries(
              Object.entries(derived).map(([name, of]) => [name, of(argument)]),
            ),
          })
          .onConflictDoUpdate({
            target: [runId, ...others],
            set: replacement(table, written, codecs[part].key),
          }),
      ),

      /** Deletes the rows of the run whose key is not in `keys`. */
      deleteOthers: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target
          .delete(table)
          .where(and(eq(runId, argument("runId")), isNotIn(others, argument("keys")))),
      ),
    };
  }
}

/** True if the columns are not in a JSON list of lists. */
function isNotIn(columns: readonly SQLWrapper[], list: SQL): SQL {
  const cells = columns.map((_, index) => sql.raw(`value ->> ${index}`));
  return sql`${rowValue(columns)} not in (select ${sql.join(cells, sql`, `)} from json_each(${list}))`;
}

export type NewerArgument =
  | "runId"
  | "createdAt"
  | "revision"
  | "stateRevision"
  | "endedSteps"
  | ChildPart;

/** The keys of the bundle's rows, as JSON lists for `deleteOthers` and `newerRun`. */
export function keysOf({ steps, attempts, outputs }: Omit<RunBundle, "run" | "state">) {
  return {
    steps: JSON.stringify(steps.map(({ stepId }) => [stepId])),
    attempts: JSON.stringify(attempts.map(({ stepId, attempt }) => [stepId, attempt])),
    outputs: JSON.stringify(outputs.map(({ stepId }) => [stepId])),
  };
}

/** The arguments of `newerRun` for a bundle. `run` is encoded. */
export function newerArguments(
  bundle: RunBundle,
  run: Readonly<Record<"runId" | "createdAt" | "revision" | "stateRevision", Cell>>,
): Record<NewerArgument, Cell> {
  const { runId, createdAt, revision, stateRevision } = run;
  const ended = bundle.steps.filter(({ status }) => isFrozenStepStatus(status));
  return {
    runId,
    createdAt,
    revision,
    stateRevision,
    ...keysOf(bundle),
    endedSteps: JSON.stringify(ended.map(({ stepId }) => [stepId])),
    state: JSON.stringify(bundle.state.map((entry) => [entry.key, entry.revision])),
  };
}

/** One row if the run exists and is newer than a bundle: the rule of `isNewerBundle` in SQL. */
export function newerRun(
  target: Pick<Database, "select">,
  tables: WorkflowTables,
  argument: ArgumentReference<NewerArgument>,
): Builder {
  const runs = tables.workflowRuns;
  const { steps, attempts, outputs, state } = childTables(tables);
  const any = (
    table: typeof steps | typeof attempts | typeof outputs | typeof state,
    condition: SQL | undefined,
  ) => exists(selectOne(target, table, and(eq(table.runId, argument("runId")), condition)));
  const stateBefore = sql`(select value ->> 1 from json_each(${argument("state")}) where value ->> 0 = ${state.key})`;
  const hasNewerRow = or(
    gt(runs.stateRevision, argument("stateRevision")),
    any(steps, isNotIn([steps.stepId], argument("steps"))),
    any(
      steps,
      and(
        inArray(steps.status, frozenStepStatuses),
        isNotIn([steps.stepId], argument("endedSteps")),
      ),
    ),
    any(attempts, isNotIn([attempts.stepId, attempts.attempt], argument("attempts"))),
    any(outputs, isNotIn([outputs.stepId], argument("outputs"))),
    any(
      state,
      and(
        // Most rows are equal, and need no search in the list.
        isNotIn([state.key, state.revision], argument("state")),
        sql`${state.revision} > coalesce(${stateBefore}, ${argument("stateRevision")})`,
      ),
    ),
  );
  return selectOne(
    target,
    runs,
    and(
      eq(runs.runId, argument("runId")),
      eq(runs.createdAt, argument("createdAt")),
      or(
        gt(runs.revision, argument("revision")),
        and(eq(runs.revision, argument("revision")), hasNewerRow),
      ),
    ),
  );
}
