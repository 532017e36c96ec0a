import { and, eq } from "drizzle-orm";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { StepOutput } from "../../schema/rows.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { pick, replacement, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import {
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type OutputProperty = keyof StepOutput & string;

export function createOutputStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const outputs = tables.stepOutputs;
  const { properties } = codecs.output;

  return {
    /** Saves nothing where the run is missing or the worker does not hold it. */
    save: statementFamily(
      (shape: { readonly fenced: boolean }) => String(shape.fenced),
      ({ fenced }) =>
        defineStatement(db, (target, argument: ArgumentReference<OutputProperty | FenceArgument>) =>
          target
            .insert(outputs)
            .select(
              rowIf(
                properties.map(argument),
                runExists(target, tables, argument("runId"), fenced ? argument : null),
              ),
            )
            .onConflictDoUpdate({
              target: [outputs.runId, outputs.stepId],
              set: replacement(outputs, ["output", "updatedAt"], []),
            }),
        ),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "stepId">) =>
      target
        .select(pick(outputs, properties))
        .from(outputs)
        .where(and(eq(outputs.runId, argument("runId")), eq(outputs.stepId, argument("stepId")))),
    ),
  };
}
