import { count, desc, eq, max, min, sql, type SQL } from "drizzle-orm";
import { sqliteTable, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text, time } from "../schema/columns.ts";
import { finishedRuns, finishedSteps } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

const optionsSchema = z.strictObject(reportShape);

const errorColumns = () => ({
  /** `code` of the error: a string unchanged, any other value as JSON; null if it has none. */
  code: text("code"),
  /** `name` of the error, like `code`. */
  name: text("name"),
  firstAt: time("first_at").notNull(),
  lastAt: time("last_at").notNull(),
});

const runColumns = {
  workflowId: text("workflow_id").notNull(),
  runs: integer("runs").notNull(),
  ...errorColumns(),
};
const runRow: ReturnType<typeof sqliteTable<"error_codes", typeof runColumns>> = sqliteTable(
  "error_codes",
  runColumns,
);

/** A row of `errorCodes`. */
export type ErrorCodesRow = typeof runRow.$inferSelect;

const stepColumns = {
  workflowId: text("workflow_id").notNull(),
  stepId: text("step_id").notNull(),
  executions: integer("executions").notNull(),
  ...errorColumns(),
};
const stepRow: ReturnType<typeof sqliteTable<"step_error_codes", typeof stepColumns>> = sqliteTable(
  "step_error_codes",
  stepColumns,
);

/** A row of `stepErrorCodes`. */
export type StepErrorCodesRow = typeof stepRow.$inferSelect;

/**
 * The errors of the FAILED runs of each workflow. One row per workflow and pair of `code` and `name`.
 *
 * The window applies to `completedAt`; `firstAt` and `lastAt` are the first and last of these times. Most frequent
 * first, then latest `lastAt`; ties are ordered by `workflowId`, `code`, `name`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function errorCodes<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof runRow, Mode, RunResult> {
  const finished = parseReport(optionsSchema, db, options);
  const runs = finished.tables.workflowRuns;
  const failures = builder
    .select({
      workflowId: runs.workflowId,
      code: textIn(runs.error, "code").as("code"),
      name: textIn(runs.error, "name").as("name"),
      at: runs.completedAt,
    })
    .from(runs)
    .where(finishedRuns(finished, ["FAILED"], "rows"))
    .as("failures");
  const report = builder
    .select(
      rowOf(runRow, {
        workflowId: failures.workflowId,
        runs: count(),
        code: failures.code,
        name: failures.name,
        firstAt: min(failures.at),
        lastAt: max(failures.at),
      }),
    )
    .from(failures)
    .groupBy(failures.workflowId, sql`${failures.code}`, sql`${failures.name}`);
  const { runs: failed, lastAt, workflowId, code, name } = runRow;
  return selectReport(
    db,
    finished.tables,
    runRow,
    report,
    desc(failed),
    desc(lastAt),
    workflowId,
    code,
    name,
  );
}

/**
 * The errors of the FAILED step executions of each workflow, including steps whose run continued. One row per step and
 * pair of `code` and `name`.
 *
 * The window applies to the step's `completedAt`; `firstAt` and `lastAt` are the first and last of these times. Most
 * frequent first, then latest `lastAt`; ties are ordered by `workflowId`, `stepId`, `code`, `name`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function stepErrorCodes<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof stepRow, Mode, RunResult> {
  const finished = parseReport(optionsSchema, db, options);
  const steps = finishedSteps(finished, eq(finished.tables.stepExecutions.status, "FAILED"));
  const failures = builder
    .select({
      workflowId: steps.workflowId,
      stepId: steps.stepId,
      code: textIn(steps.error, "code").as("code"),
      name: textIn(steps.error, "name").as("name"),
      at: steps.completedAt,
    })
    .from(steps)
    .as("failures");
  const report = builder
    .select(
      rowOf(stepRow, {
        workflowId: failures.workflowId,
        stepId: failures.stepId,
        executions: count(),
        code: failures.code,
        name: failures.name,
        firstAt: min(failures.at),
        lastAt: max(failures.at),
      }),
    )
    .from(failures)
    .groupBy(
      sql`${failures.workflowId}`,
      failures.stepId,
      sql`${failures.code}`,
      sql`${failures.name}`,
    );
  const { executions, lastAt, workflowId, stepId, code, name } = stepRow;
  const order = [desc(executions), desc(lastAt), workflowId, stepId, code, name];
  return selectReport(db, finished.tables, stepRow, report, ...order);
}

/**
 * A property of an error as text. Different values give different texts: a string that is also valid JSON keeps its
 * quotes, so "1" differs from 1. An error that is not valid JSON has no properties, and does not make the query fail.
 */
function textIn(error: SQLiteColumn, property: string): SQL<string | null> {
  const path = sql.raw(`'$.${property}'`);
  const [plain, json] = [sql`${error} ->> ${path}`, sql`${error} -> ${path}`];
  return sql`case when json_valid(${error}) then
    case json_type(${error}, ${path}) when 'null' then null
      when 'text' then iif(json_valid(${plain}), ${json}, ${plain}) else ${json} end
  end`;
}
