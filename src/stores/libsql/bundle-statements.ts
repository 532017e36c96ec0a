import { inArray, sum } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { createChildReaders } from "./child-statements.ts";
import { jsonBytes, listOf } from "./fragments.ts";
import { defineStatement, type ArgumentReference, type Database } from "./statement.ts";

export function createBundleStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const {
    workflowRuns: runs,
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;
  return {
    children: createChildReaders(db, tables, codecs),

    /** Run id and the bytes of JSON of the run and all its children. */
    sizes: defineStatement(db, (target, argument: ArgumentReference<"runIds">) => {
      const ids = listOf(argument("runIds"));
      const parts = unionAll(
        target
          .select({
            runId: runs.runId,
            bytes: jsonBytes([runs.input, runs.output, runs.error, runs.context, runs.tags]).as(
              "bytes",
            ),
          })
          .from(runs)
          .where(inArray(runs.runId, ids)),
        target
          .select({ runId: steps.runId, bytes: jsonBytes([steps.input, steps.error]).as("bytes") })
          .from(steps)
          .where(inArray(steps.runId, ids)),
        target
          .select({ runId: attempts.runId, bytes: jsonBytes([attempts.error]).as("bytes") })
          .from(attempts)
          .where(inArray(attempts.runId, ids)),
        target
          .select({ runId: outputs.runId, bytes: jsonBytes([outputs.output]).as("bytes") })
          .from(outputs)
          .where(inArray(outputs.runId, ids)),
        target
          .select({ runId: state.runId, bytes: jsonBytes([state.value]).as("bytes") })
          .from(state)
          .where(inArray(state.runId, ids)),
      ).as("parts");
      return target
        .select({ runId: parts.runId, bytes: sum(parts.bytes).mapWith(Number).as("total") })
        .from(parts)
        .groupBy(parts.runId);
    }),
  };
}
