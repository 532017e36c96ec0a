import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { DatabaseClass } from "../../drizzle.ts";
import { tables as plainTables, type WorkflowTables } from "../../schema/tables.ts";
import { idSchema, tagsSchema } from "../../schema/zod.ts";
import type { RunConditions } from "./conditions.ts";

/** The options of every report. */
export interface ReportOptions extends RunConditions {
  /** Inclusive. */
  readonly since?: Date | undefined;
  /** Exclusive; later than `since`. */
  readonly until?: Date | undefined;
  /** The tables of `createWorkflowTables`. Defaults to the tables without a prefix. */
  readonly tables?: WorkflowTables | undefined;
}

const databaseSchema = z.custom(
  (value) => is(value, DatabaseClass),
  "must be a Drizzle database on SQLite",
);
const tableSchema = z.custom((value) => is(value, SQLiteTable), "must be a table on SQLite");
/** The tables of `createWorkflowTables`. */
export const tablesSchema = z.object({
  workflowRuns: tableSchema,
  stepExecutions: tableSchema,
  stepAttempts: tableSchema,
  stepOutputs: tableSchema,
  workflowState: tableSchema,
  workflowPauses: tableSchema,
});

/** The options that all reports share. */
export const reportShape = {
  workflowId: z.optional(idSchema),
  workflowVersion: z.optional(idSchema),
  resourceId: z.optional(idSchema),
  tags: z.optional(tagsSchema),
  since: z.optional(z.date()),
  until: z.optional(z.date()),
  tables: z.optional(tablesSchema),
};

/** The options of a report on the present. */
export interface PresentOptions extends ReportOptions {
  /** The time with which others are compared. Defaults to the current time. */
  readonly now?: Date | undefined;
}

export const presentShape = { ...reportShape, now: z.optional(z.date()) };

type SharedOptions = z.infer<z.ZodMiniObject<typeof reportShape>>;

/**
 * The parsed options, with the tables to read.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function parseReport<Options extends SharedOptions>(
  schema: z.ZodMiniType<Options>,
  db: unknown,
  options: unknown,
): Omit<Options, "tables"> & { readonly tables: WorkflowTables } {
  parseArgument(databaseSchema, db, "db");
  const parsed = parseArgument(schema.check(z.refine(isWindow, windowIssue)), options, "options");
  return { ...parsed, tables: (parsed.tables ?? plainTables) as WorkflowTables };
}

const windowIssue = { path: ["until"], message: "must be later than since" };

function isWindow({ since, until }: SharedOptions): boolean {
  return since === undefined || until === undefined || since < until;
}
