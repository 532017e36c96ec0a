import { z } from "zod";
import { InvalidArgumentError } from "../errors.ts";
import type { StepExecution, StepOutput, WorkflowRun, WorkflowState } from "../schema/rows.ts";
import {
  stepExecutionSchema,
  stepOutputSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { compareText } from "./cursors.ts";

/** One run with everything that belongs to it: the unit of export, copy and display. */
export interface RunBundle {
  readonly run: WorkflowRun;
  /** By `executionIndex`, then `stepId`. */
  readonly steps: readonly StepExecution[];
  /** By `stepId`. */
  readonly outputs: readonly StepOutput[];
  /** By `key`. */
  readonly state: readonly WorkflowState[];
}

/** The order of a run's steps: by `executionIndex`, then the UTF-8 bytes of `stepId`. */
export function compareSteps(
  a: Pick<StepExecution, "executionIndex" | "stepId">,
  b: Pick<StepExecution, "executionIndex" | "stepId">,
): number {
  return a.executionIndex - b.executionIndex || compareText(a.stepId, b.stepId);
}

const bundleSchema = z.strictObject({
  run: workflowRunSchema,
  steps: z.array(stepExecutionSchema),
  outputs: z.array(stepOutputSchema),
  state: z.array(workflowStateSchema),
});

/**
 * A bundle whose rows are whole and belong to its run.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
function parseBundle(bundle: unknown, argument: string): RunBundle {
  const parsed = parseArgument(bundleSchema, bundle, argument);
  for (const list of ["steps", "outputs", "state"] as const) {
    const seen = new Set<string>();
    for (const [index, row] of parsed[list].entries()) {
      const key = "stepId" in row ? row.stepId : row.key;
      if (row.runId !== parsed.run.runId || seen.has(key)) {
        throw new InvalidArgumentError({
          argument: `${argument}.${list}[${index}]`,
          reason: row.runId === parsed.run.runId ? "is there twice" : "belongs to another run",
        });
      }
      seen.add(key);
    }
  }
  return parsed;
}

/** @throws {InvalidArgumentError} unless `bundles` is an array of whole bundles. */
export function parseBundles(bundles: unknown): RunBundle[] {
  return parseArgument(z.array(z.unknown()), bundles, "bundles").map((bundle, index) =>
    parseBundle(bundle, `bundles[${index}]`),
  );
}
