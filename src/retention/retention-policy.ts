import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { callbackSchema, operationShape } from "../model/arguments.ts";
import { parsePrunePolicy, type PruneProgress, type PruneReport } from "../model/retention.ts";
import { idSchema, runStatusSchema } from "../schema/zod.ts";
import type { RunStatus } from "../statuses.ts";
import type { MaintenanceStore } from "../store/maintenance.ts";

/** How long runs stay. A run goes when any rule says so. */
export interface RetentionRule {
  /** Runs of this age go: since their completion, or since their last change where there is none. */
  readonly maxAgeMs: number;
  /** The finished ones when absent: a PENDING or RUNNING run goes only when its status is named. */
  readonly statuses?: readonly RunStatus[] | undefined;
  readonly workflowId?: string | undefined;
  /** The newest runs of each workflow that stay whatever their age. */
  readonly keepLast?: number | undefined;
}

/** What an app keeps of its runs: an object that is written once, and applied again and again. */
export interface RetentionPolicy {
  /** Carried out one after the other. */
  readonly rules: readonly RetentionRule[];
  /** Runs deleted in one transaction: 1 to 1000, 100 when absent. Writers wait for no longer than that. */
  readonly batchSize?: number | undefined;
}

export interface RetentionOptions {
  /** Counts and changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** The time that ages are counted from; the current one when absent. */
  readonly now?: Date | undefined;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
  /** What was deleted before the abort stays deleted; applying the policy again goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface RetentionReport {
  /** What became of each rule, in their order. On a dry run a run that several rules name is in each of them. */
  readonly rules: readonly PruneReport[];
  readonly deletedRuns: number;
  /** Runs that a rule names and that an app's constraint keeps, counted once for each rule; `rules` names them. */
  readonly refusedRuns: number;
  /** JSON and text bytes of the deleted rows. */
  readonly deletedBytes: number;
  /** Runs that stay. On a dry run of several rules: of the last one. */
  readonly remainingRuns: number;
  /** Bytes given back to the file system; null where the store cannot know. */
  readonly freedBytes: number | null;
}

/** 136,000 years: a time that is this much earlier than any of today is still a date. */
const maxAgeMs = 4_320_000_000_000_000;

const ruleSchema = z.strictObject({
  maxAgeMs: z.int().min(0).max(maxAgeMs),
  statuses: z.array(runStatusSchema).optional(),
  workflowId: idSchema.optional(),
  keepLast: z.int().min(0).optional(),
});

export const retentionPolicySchema = z.strictObject({
  rules: z.array(ruleSchema).min(1),
  batchSize: z.int().min(1).max(1000).optional(),
});

const optionsSchema = z.strictObject({
  dryRun: z.boolean().optional(),
  now: z.date().optional(),
  onProgress: callbackSchema<PruneProgress>(),
  ...operationShape,
});

/**
 * Deletes what the policy does not keep, a rule after the other.
 *
 * @throws {InvalidArgumentError} that names the field, before anything is deleted.
 */
export async function applyRetention(
  store: MaintenanceStore,
  policy: RetentionPolicy,
  options: RetentionOptions = {},
): Promise<RetentionReport> {
  const { rules, batchSize } = parseArgument(retentionPolicySchema, policy, "policy");
  const { now, onProgress, ...others } = parseArgument(optionsSchema, options, "options");
  const time = (now ?? new Date()).getTime();
  const reports: PruneReport[] = [];
  let deletedBefore = 0;
  const policyOf = ({ maxAgeMs: age, ...rule }: (typeof rules)[number]) => ({
    ...rule,
    ...others,
    batchSize,
    olderThan: new Date(time - age),
    onProgress: ({ deletedRuns }: PruneProgress) =>
      onProgress?.({ deletedRuns: deletedBefore + deletedRuns }),
  });
  const policies = rules.map(policyOf);
  for (const each of policies) parsePrunePolicy(each);
  for (const each of policies) {
    const report = await store.pruneRuns(each);
    deletedBefore += report.deletedRuns;
    reports.push(report);
  }
  return {
    rules: reports,
    deletedRuns: deletedBefore,
    refusedRuns: reports.reduce((sum, { refusedRuns }) => sum + refusedRuns, 0),
    deletedBytes: reports.reduce((sum, { deletedBytes }) => sum + deletedBytes, 0),
    remainingRuns: reports.at(-1)?.remainingRuns ?? 0,
    freedBytes: reports.reduce<number | null>(
      (sum, { freedBytes }) => (sum === null || freedBytes === null ? null : sum + freedBytes),
      0,
    ),
  };
}
