import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { DatabaseClass } from "../drizzle.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
  type WorkflowTables,
} from "../schema/tables.ts";
import { idSchema } from "../schema/zod.ts";

/** What every report takes. What is absent narrows nothing. */
export interface ReportOptions {
  readonly workflowId?: string | undefined;
  /** Inclusive. */
  readonly since?: Date | undefined;
  /** Exclusive; later than `since`. */
  readonly until?: Date | undefined;
  /** Tables made by `createWorkflowTables`; the plain ones when absent. */
  readonly tables?: WorkflowTables | undefined;
}

const plainTables: WorkflowTables = {
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
};

const databaseSchema = z.custom(
  (value) => is(value, DatabaseClass),
  "must be a Drizzle database on SQLite",
);
const tableSchema = z.custom((value) => is(value, SQLiteTable), "must be a table on SQLite");

/** The options that all reports share. */
export const reportShape = {
  workflowId: idSchema.optional(),
  since: z.date().optional(),
  until: z.date().optional(),
  tables: z
    .object({
      workflowRuns: tableSchema,
      stepExecutions: tableSchema,
      stepAttempts: tableSchema,
      stepOutputs: tableSchema,
      workflowState: tableSchema,
    })
    .optional(),
};

type SharedOptions = z.infer<z.ZodObject<typeof reportShape>>;

/**
 * The options as `schema` reads them, with the tables that the report is about.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function parseReport<Options extends SharedOptions>(
  schema: z.ZodType<Options>,
  db: unknown,
  options: unknown,
): Omit<Options, "tables"> & { readonly tables: WorkflowTables } {
  parseArgument(databaseSchema, db, "db");
  const parsed = parseArgument(schema.refine(isWindow, windowIssue), options, "options");
  return { ...parsed, tables: (parsed.tables ?? plainTables) as WorkflowTables };
}

const windowIssue = { path: ["until"], message: "must be later than since" };

function isWindow({ since, until }: SharedOptions): boolean {
  return since === undefined || until === undefined || since < until;
}
