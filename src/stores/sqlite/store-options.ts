import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { functionSchema } from "../../model/arguments.ts";
import { tables as plainTables, type WorkflowTables } from "../../schema/tables.ts";
import type { Clock } from "../../store/clock.ts";

/** Options of a store in an app's database. */
export interface StoreOptions<Tables extends WorkflowTables = WorkflowTables> {
  /** The tables of `createWorkflowTables`, if they have a prefix or types of their own. */
  readonly tables?: Tables | undefined;
  readonly clock?: Clock | undefined;
}

const names = Object.keys(plainTables);

function isSetOfTables(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const tables = new Map(Object.entries(value));
  return names.every((name) => is(tables.get(name), SQLiteTable));
}

export const storeOptionsShape = {
  tables: z.optional(
    z.custom<WorkflowTables>(
      isSetOfTables,
      `must be the tables of createWorkflowTables: ${names.join(", ")}`,
    ),
  ),
  clock: z.optional(functionSchema<Clock>()),
};

export const storeOptionsSchema = z.strictObject(storeOptionsShape);
