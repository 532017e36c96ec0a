import * as z from "zod/mini";
import type { ConstraintError } from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema, runStatusSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { callbackSchema, dateSchema, limitSchema, operationShape } from "./arguments.ts";
import { finalRunStatuses } from "./transitions.ts";
import type { RunStatus } from "../statuses.ts";

/** The runs to delete. */
export interface PrunePolicy {
  /** Exclusive. Compared with `completedAt`, or with `updatedAt` if the run has not completed. */
  readonly olderThan: Date;
  /** Defaults to the final statuses. PENDING and RUNNING runs are deleted only if their status is listed. */
  readonly statuses?: readonly RunStatus[] | undefined;
  readonly workflowId?: string | undefined;
  /** Keeps this many of the newest runs (by `createdAt`) of each workflow, however old they are. */
  readonly keepLast?: number | undefined;
  /** The number of runs to delete per transaction, 1 to 1000. Defaults to 100. */
  readonly batchSize?: number | undefined;
  /** Only counts; changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: PruneProgress) => unknown) | undefined;
  /** Runs deleted before the abort stay deleted. Call again to continue. */
  readonly signal?: AbortSignal | undefined;
}

export interface PruneProgress {
  /** Runs deleted so far. */
  readonly deletedRuns: number;
}

/** A run whose deletion was rejected. */
export interface RefusedRun {
  readonly runId: string;
  readonly error: ConstraintError;
}

/** The result of a prune. On a dry run, the result that it would have. */
export interface PruneReport {
  readonly dryRun: boolean;
  readonly deletedRuns: number;
  readonly deletedStepExecutions: number;
  readonly deletedStepAttempts: number;
  readonly deletedStepOutputs: number;
  readonly deletedState: number;
  /** Deleted rows whose run no longer existed, because it was deleted while foreign keys were off. */
  readonly deletedOrphans: number;
  /**
   * The number of matching runs that were kept because a constraint or a trigger of the app rejected their deletion. A
   * dry run cannot know them.
   */
  readonly refusedRuns: number;
  /** The first 100 of them. */
  readonly refused: readonly RefusedRun[];
  /** The number of runs that remain. */
  readonly remainingRuns: number;
  /** Bytes of JSON and text in the deleted rows, without indexes and page overhead. */
  readonly deletedBytes: number;
  /** Bytes returned to the file system; null if the store cannot know them. */
  readonly freedBytes: number | null;
}

const policySchema = z.strictObject({
  olderThan: dateSchema,
  statuses: z.pipe(
    z._default(z.array(runStatusSchema), [...finalRunStatuses]),
    // A repeated status would be counted twice.
    z.transform((statuses) => [...new Set(statuses)]),
  ),
  workflowId: z.optional(idSchema),
  keepLast: z._default(z.int().check(z.minimum(0)), 0),
  batchSize: z._default(limitSchema, 100),
  dryRun: z._default(z.boolean(), false),
  onProgress: callbackSchema<PruneProgress>(),
  ...operationShape,
});

/** A valid policy with its defaults. */
export type ParsedPrunePolicy = z.output<typeof policySchema>;

/** @throws {InvalidArgumentError} if the policy is invalid. */
export function parsePrunePolicy(policy: unknown): ParsedPrunePolicy {
  return parseArgument(policySchema, policy, "policy");
}

/** True if the run matches the policy, apart from `keepLast`. */
export function isPrunable(
  run: Pick<WorkflowRun, "status" | "workflowId"> & Times,
  policy: PruneConditions,
): boolean {
  return (
    policy.statuses.includes(run.status) &&
    (policy.workflowId === undefined || run.workflowId === policy.workflowId) &&
    Number(run.completedAt ?? run.updatedAt) < policy.olderThan.getTime()
  );
}

type PruneConditions = Pick<ParsedPrunePolicy, "olderThan" | "statuses" | "workflowId">;

interface Times {
  readonly completedAt: Date | number | null;
  readonly updatedAt: Date | number;
}
