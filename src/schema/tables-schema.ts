import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { tables as plainTables, type WorkflowTables } from "./tables.ts";

const names = Object.keys(plainTables);

function isSetOfTables(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const tables = new Map(Object.entries(value));
  return names.every((name) => is(tables.get(name), SQLiteTable));
}

/** The tables of a store or a doctor. */
export const tablesSchema = z.custom<WorkflowTables>(
  isSetOfTables,
  `must be the tables of createWorkflowTables: ${names.join(", ")}`,
);
