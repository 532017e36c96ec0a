import { decodeJson, encodeJson, type RunBundle } from "gorkflow";
import {
  stepAttemptSchema,
  stepExecutionSchema,
  stepOutputSchema,
  type WorkflowPause,
  workflowPauseSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "gorkflow/schema";
import { z } from "zod";

/** The new state of the rows that a commit changed. */
export interface Commit {
  /** A run is null if it was deleted. */
  readonly runs: readonly (readonly [runId: string, bundle: RunBundle | null])[];
  /** All pauses; null if none changed. */
  readonly pauses: readonly WorkflowPause[] | null;
}

/** One line of JSON. Times are milliseconds. */
export function encodeCommit({ runs, pauses }: Commit): string {
  const bundles = runs.map(([runId, bundle]) => [
    runId,
    bundle && {
      run: encodeTimes(bundle.run),
      steps: bundle.steps.map(encodeTimes),
      attempts: bundle.attempts.map(encodeTimes),
      outputs: bundle.outputs.map(encodeTimes),
      state: bundle.state.map(encodeTimes),
    },
  ]);
  const commit = { runs: bundles, pauses: pauses && pauses.map(encodeTimes) };
  return encodeJson(commit, "commit", Infinity);
}

/** @throws {ZodError} if this store did not write the line. */
export function decodeCommit(line: string): Commit {
  return commitSchema.parse(decodeJson(line));
}

const rowSchema = z.record(z.string(), z.unknown());
const bundleSchema = z.object({
  run: rowSchema.transform(decodeTimes).pipe(workflowRunSchema),
  steps: z.array(rowSchema.transform(decodeTimes).pipe(stepExecutionSchema)),
  attempts: z.array(rowSchema.transform(decodeTimes).pipe(stepAttemptSchema)),
  outputs: z.array(rowSchema.transform(decodeTimes).pipe(stepOutputSchema)),
  state: z.array(rowSchema.transform(decodeTimes).pipe(workflowStateSchema)),
});
const commitSchema = z.object({
  runs: z.array(z.tuple([z.string(), bundleSchema.nullable()])),
  pauses: z.array(rowSchema.transform(decodeTimes).pipe(workflowPauseSchema)).nullable(),
});

/** True for the columns of times, by their names. */
const isTime = (column: string): boolean => column.endsWith("At");

function encodeTimes(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      isTime(column) && value instanceof Date ? value.getTime() : (value as unknown),
    ]),
  );
}

function decodeTimes(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      isTime(column) && typeof value === "number" ? new Date(value) : value,
    ]),
  );
}
