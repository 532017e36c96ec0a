import * as z from "zod";
import type { ConstraintError } from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema, runStatusSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { callbackSchema, operationShape } from "./arguments.ts";
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
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
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

/** A validated policy with its defaults. */
export interface ParsedPrunePolicy {
  readonly olderThan: Date;
  readonly statuses: readonly RunStatus[];
  readonly workflowId: string | null;
  readonly keepLast: number;
  readonly batchSize: number;
  readonly dryRun: boolean;
  readonly onProgress: ((progress: PruneProgress) => void) | null;
  readonly signal: AbortSignal | undefined;
}

const policySchema = z.strictObject({
  olderThan: z.date(),
  statuses: z.array(runStatusSchema).optional(),
  workflowId: idSchema.optional(),
  keepLast: z.int().min(0).optional(),
  batchSize: z.int().min(1).max(1000).optional(),
  dryRun: z.boolean().optional(),
  onProgress: callbackSchema<PruneProgress>(),
  ...operationShape,
});

/** @throws {InvalidArgumentError} if the policy is invalid. */
export function parsePrunePolicy(policy: unknown): ParsedPrunePolicy {
  const parsed = parseArgument(policySchema, policy, "policy");
  return {
    olderThan: parsed.olderThan,
    // A repeated status would be counted twice.
    statuses: [...new Set(parsed.statuses ?? finalRunStatuses)],
    workflowId: parsed.workflowId ?? null,
    keepLast: parsed.keepLast ?? 0,
    batchSize: parsed.batchSize ?? 100,
    dryRun: parsed.dryRun ?? false,
    onProgress: parsed.onProgress ?? null,
    signal: parsed.signal,
  };
}

/** True if the run matches the policy, apart from `keepLast`. */
export function isPrunable(
  run: Pick<WorkflowRun, "status" | "workflowId" | "completedAt" | "updatedAt">,
  policy: ParsedPrunePolicy,
): boolean {
  return (
    policy.statuses.includes(run.status) &&
    (policy.workflowId === null || run.workflowId === policy.workflowId) &&
    (run.completedAt ?? run.updatedAt) < policy.olderThan
  );
}
