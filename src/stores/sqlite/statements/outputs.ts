import { and, eq, gt, inArray, lt, sql } from "drizzle-orm";
import { pageBytes } from "../../../model/run-queries.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepOutput } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import {
  jsonBytes,
  listOf,
  pick,
  replacement,
  rowIf,
  runExists,
  type FenceArgument,
} from "./fragments.ts";
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

    /** The outputs of these steps that follow `after`, in order, as many as fit a page; and how many follow in all. */
    ofSteps: defineStatement(
      db,
      (target, argument: ArgumentReference<"runId" | "stepIds" | "after">) => {
        const bytesBefore = sql<number>`coalesce(sum(${jsonBytes([outputs.output])}) over (order by ${outputs.stepId} rows between unbounded preceding and 1 preceding), 0)`;
        const page = target
          .select({
            stepId: outputs.stepId,
            bytesBefore: bytesBefore.as("bytes_before"),
            found: sql<number>`count(*) over ()`.as("found"),
          })
          .from(outputs)
          .where(
            and(
              eq(outputs.runId, argument("runId")),
              inArray(outputs.stepId, listOf(argument("stepIds"))),
              gt(outputs.stepId, argument("after")),
            ),
          )
          .as("page");
        return target
          .select({ ...pick(outputs, properties), found: page.found })
          .from(page)
          .innerJoin(outputs, eq(outputs.stepId, page.stepId))
          .where(
            and(
              eq(outputs.runId, argument("runId")),
              lt(page.bytesBefore, sql.raw(String(pageBytes))),
            ),
          )
          .orderBy(page.stepId);
      },
    ),
  };
}
