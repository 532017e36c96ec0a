import * as z from "zod";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { Clock } from "../../store/clock.ts";

/** How a store works in an app's database. */
export interface StoreOptions {
  /** The tables of `createWorkflowTables`, where they have a prefix. */
  readonly tables?: WorkflowTables | undefined;
  readonly clock?: Clock | undefined;
}

const isObject = (value: unknown) => typeof value === "object" && value !== null;

export const storeOptionsShape = {
  tables: z
    .custom<WorkflowTables>(isObject, "must be the tables of createWorkflowTables")
    .optional(),
  clock: z.custom<Clock>((value) => typeof value === "function", "must be a function").optional(),
};

export const storeOptionsSchema = z.strictObject(storeOptionsShape);
