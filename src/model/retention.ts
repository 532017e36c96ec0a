import * as z from "zod";
import type { ConstraintError } from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema, runStatusSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { callbackSchema, operationShape } from "./arguments.ts";
import { finalRunStatuses } from "./transitions.ts";
import type { RunStatus } from "../statuses.ts";

/** Which runs to delete. */
export interface PrunePolicy {
  /** Exclusive; compared with `completedAt`, or with `updatedAt` where there is none. */
  readonly olderThan: Date;
  /** The finished ones when absent: a PENDING or RUNNING run goes only when its status is named. */
  readonly statuses?: readonly RunStatus[] | undefined;
  readonly workflowId?: string | undefined;
  /** The newest runs (by `createdAt`) of each workflow that stay whatever their age. */
  readonly keepLast?: number | undefined;
  /** Runs deleted in one transaction: 1 to 1000, 100 when absent. */
  readonly batchSize?: number | undefined;
  /** Counts and changes nothing. */
  readonly dryRun?: boolean | undefined;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
  /** What was deleted before the abort stays deleted; calling again goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface PruneProgress {
  /** Runs deleted so far. */
  readonly deletedRuns: number;
}

/** A run that could not be deleted, and why. */
export interface RefusedRun {
  readonly runId: string;
  readonly error: ConstraintError;
}

/** What a prune did, or, on a dry run, would do. */
export interface PruneReport {
  readonly dryRun: boolean;
  readonly deletedRuns: number;
  readonly deletedStepExecutions: number;
  readonly deletedStepAttempts: number;
  readonly deletedStepOutputs: number;
  readonly deletedState: number;
  /** Rows without their run, left by somebody who deleted with foreign keys off. Removed, too. */
  readonly deletedOrphans: number;
  /**
   * Runs that the policy names and that stay, because a constraint or a trigger of an app refuses their deletion. A dry
   * run cannot know of them.
   */
  readonly refusedRuns: number;
  /** The first hundred of them. */
  readonly refused: readonly RefusedRun[];
  /** Runs that stay. */
  readonly remainingRuns: number;
  /** JSON and text bytes of the deleted rows: what they took, without indexes and page overhead. */
  readonly deletedBytes: number;
  /** Bytes given back to the file system; null where the store cannot know. */
  readonly freedBytes: number | null;
}

/** A policy as the stores carry it out. */
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

/** @throws {InvalidArgumentError} that names the field. */
export function parsePrunePolicy(policy: unknown): ParsedPrunePolicy {
  const parsed = parseArgument(policySchema, policy, "policy");
  return {
    olderThan: parsed.olderThan,
    // A status that is named twice would be counted twice.
    statuses: [...new Set(parsed.statuses ?? finalRunStatuses)],
    workflowId: parsed.workflowId ?? null,
    keepLast: parsed.keepLast ?? 0,
    batchSize: parsed.batchSize ?? 100,
    dryRun: parsed.dryRun ?? false,
    onProgress: parsed.onProgress ?? null,
    signal: parsed.signal,
  };
}

/** True when the policy's age, status and workflow say that the run goes; `keepLast` apart. */
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
