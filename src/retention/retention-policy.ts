import * as z from "zod/mini";
import { parseArgument } from "../arguments.ts";
import { callbackSchema, checkStore, operationShape } from "../model/arguments.ts";
import { parsePrunePolicy, type PruneProgress, type PruneReport } from "../model/retention.ts";
import { idSchema, runStatusSchema } from "../schema/zod.ts";
import type { RunStatus } from "../statuses.ts";
import type { MaintenanceStore } from "../store/maintenance.ts";

/** A rule of a policy. A run is deleted if any rule matches it. */
export interface RetentionRule {
  /** Deletes runs of this age, counted from their completion, or from their last change if they have not completed. */
  readonly maxAgeMs: number;
  /** Defaults to the final statuses. PENDING and RUNNING runs are deleted only if their status is listed. */
  readonly statuses?: readonly RunStatus[] | undefined;
  readonly workflowId?: string | undefined;
  /** Keeps this many of the newest runs of each workflow, however old they are. */
  readonly keepLast?: number | undefined;
}

/** The rules by which an app deletes runs. */
export interface RetentionPolicy {
  /** Applied in order. */
  readonly rules: readonly RetentionRule[];
  /** The number of runs to delete per transaction, 1 to 1000. Defaults to 100. A writer waits for one transaction. */
  readonly batchSize?: number | undefined;
}

export interface RetentionOptions {
  /** Only counts; changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** The time at which ages are computed. Defaults to the current time. */
  readonly now?: Date | undefined;
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: PruneProgress) => unknown) | undefined;
  /** Runs deleted before the abort stay deleted. Apply the policy again to continue. */
  readonly signal?: AbortSignal | undefined;
}

export interface RetentionReport {
  /** The result of each rule, in order. On a dry run, a run that several rules match is counted in each. */
  readonly rules: readonly PruneReport[];
  readonly deletedRuns: number;
  /** Matching runs that a constraint of the app protects, counted once per rule. `rules` names them. */
  readonly refusedRuns: number;
  /** Bytes of JSON and text in the deleted rows. */
  readonly deletedBytes: number;
  /** The number of runs that remain. On a dry run of several rules, that of the last rule. */
  readonly remainingRuns: number;
  /** Bytes returned to the file system; null if the store cannot know them. */
  readonly freedBytes: number | null;
}

/** 136,000 years: the current time minus this is a valid `Date`. */
const maxAgeMs = 4_320_000_000_000_000;

const ruleSchema = z.strictObject({
  maxAgeMs: z.int().check(z.minimum(0), z.maximum(maxAgeMs)),
  statuses: z.optional(z.array(runStatusSchema)),
  workflowId: z.optional(idSchema),
  keepLast: z.optional(z.int().check(z.minimum(0))),
});

export const retentionPolicySchema = z.strictObject({
  rules: z.array(ruleSchema).check(z.minLength(1)),
  batchSize: z.optional(z.int().check(z.minimum(1), z.maximum(1000))),
});

const optionsSchema = z.strictObject({
  dryRun: z.optional(z.boolean()),
  now: z.optional(z.date()),
  onProgress: callbackSchema<PruneProgress>(),
  ...operationShape,
});

/**
 * Deletes the runs that match a rule of the policy, rule by rule.
 *
 * @throws {InvalidArgumentError} if an argument is invalid. Nothing is deleted.
 */
export async function applyRetention(
  store: MaintenanceStore,
  policy: RetentionPolicy,
  options: RetentionOptions = {},
): Promise<RetentionReport> {
  checkStore(store, "store");
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
