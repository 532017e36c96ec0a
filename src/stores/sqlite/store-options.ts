import * as z from "zod/mini";
import { functionSchema } from "../../model/arguments.ts";
import { tablesSchema } from "../../schema/tables-schema.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { Clock } from "../../store/clock.ts";

/** Options of a store in an app's database. */
export interface StoreOptions<Tables extends WorkflowTables = WorkflowTables> {
  /** The tables of `createWorkflowTables`, if they have a prefix or types of their own. */
  readonly tables?: Tables | undefined;
  readonly clock?: Clock | undefined;
}

export const storeOptionsShape = {
  tables: z.optional(tablesSchema),
  clock: z.optional(functionSchema<Clock>()),
};

export const storeOptionsSchema = z.strictObject(storeOptionsShape);
