import { getTableColumns } from "drizzle-orm";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepAttempt } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { replacement, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type AttemptProperty = keyof StepAttempt & string;

export function createAttemptStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const attempts = tables.stepAttempts;
  const { properties } = codecs.attempt;
  const columns = getTableColumns(attempts);
  const key = ["runId", "stepId", "attempt"] as const satisfies AttemptProperty[];

  return {
    /** Saves nothing where the run is missing or the worker does not hold it. */
    save: statementFamily(
      (shape: { readonly fenced: boolean }) => String(shape.fenced),
      ({ fenced }) =>
        defineStatement(
          db,
          (target, argument: ArgumentReference<AttemptProperty | FenceArgument>) =>
            target
              .insert(attempts)
              .select(
                rowIf(
                  properties.map(argument),
                  runExists(target, tables, argument("runId"), fenced ? argument : null),
                ),
              )
              .onConflictDoUpdate({
                target: key.map((name) => columns[name]),
                set: replacement(attempts, properties, key),
              }),
        ),
    ),
  };
}
