import * as z from "zod/mini";
import { parseArgument } from "../arguments.ts";
import { InvalidArgumentError, type GorkflowError } from "../errors.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { RunStatus } from "../statuses.ts";
import { callbackSchema, limitSchema, operationShape } from "./arguments.ts";
import { runFilterSchema, type RunFilter } from "./run-queries.ts";

export interface BulkOptions {
  /** Only counts the runs that match; changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** The number of runs that are changed together, 1 to 1000. Defaults to 100. */
  readonly batchSize?: number | undefined;
  /** Called after each batch, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: BulkProgress) => unknown) | undefined;
  /** Runs changed before the abort stay changed. Call again to continue. */
  readonly signal?: AbortSignal | undefined;
}

export interface BulkProgress {
  /** The number of runs changed so far. */
  readonly changedRuns: number;
  /** The runs of this batch after the change; deleted runs as they were. */
  readonly runs: readonly WorkflowRunSummary[];
}

/** The result of a bulk change. */
export interface BulkReport {
  readonly dryRun: boolean;
  /** The number of runs that were changed; on a dry run, of those that match. */
  readonly changedRuns: number;
  /**
   * The number of runs that stayed unchanged because a constraint of the app rejected the change, because they cannot
   * be read, or because other writers changed them ten times in the meantime. A dry run cannot know them.
   */
  readonly refusedRuns: number;
  /** The first 100 of them. */
  readonly refused: readonly { readonly runId: string; readonly error: GorkflowError }[];
}

const optionsSchema = z.strictObject({
  dryRun: z._default(z.boolean(), false),
  batchSize: z._default(limitSchema, 100),
  onProgress: callbackSchema<BulkProgress>(),
  ...operationShape,
});

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseBulkOptions(options: unknown): z.output<typeof optionsSchema> {
  return parseArgument(optionsSchema, options, "options");
}

/**
 * The filter, with `defaults` for its status.
 *
 * @throws {InvalidArgumentError} if it is invalid, or names a status that is not in `allowed`.
 */
export function parseBulkFilter(
  filter: unknown,
  allowed: readonly RunStatus[],
  defaults: readonly RunStatus[],
): RunFilter & { readonly status: readonly RunStatus[] } {
  const parsed = parseArgument(runFilterSchema, filter, "filter");
  const status = parsed.status === undefined ? defaults : [parsed.status].flat();
  if (status.every((name) => allowed.includes(name))) return { ...parsed, status };
  throw new InvalidArgumentError({
    argument: "filter.status",
    reason: `may only name ${allowed.join(" and ")}`,
  });
}
