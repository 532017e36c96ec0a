import { durationsOverTime } from "./durations-over-time.ts";
import { errorCodes, stepErrorCodes } from "./error-codes.ts";
import { oldestPending } from "./oldest-pending.ts";
import type { BucketSize } from "./query/buckets.ts";
import type { ReportOptions } from "./query/options.ts";
import type { ReportDatabase } from "./query/query.ts";
import { queueDepth } from "./queue-depth.ts";
import { queueLatency } from "./queue-latency.ts";
import { reliabilityOverTime } from "./reliability-over-time.ts";
import { runDurations } from "./run-durations.ts";
import { slowestSteps } from "./slowest-steps.ts";
import { stepDurations } from "./step-durations.ts";
import { stepFunnel } from "./step-funnel.ts";
import { stepReliability } from "./step-reliability.ts";
import { storage } from "./storage.ts";
import { stuckRuns } from "./stuck-runs.ts";
import { throughput } from "./throughput.ts";
import { workers } from "./workers.ts";
import { workflowVersions } from "./workflow-versions.ts";

export interface ReportArguments {
  readonly options: ReportOptions;
  readonly per: BucketSize;
  readonly zone?: string | undefined;
  readonly idleMs: number | undefined;
  readonly limit: number;
}

export type ReportRow = Readonly<Record<string, string | number | Date | null>>;

type Database = ReportDatabase<"async", unknown>;

type Report = (db: Database, given: ReportArguments) => PromiseLike<readonly ReportRow[]>;

/** The reports of `gorkflow/reports` by the names that the command uses. Those over time have no limit. */
const reports = {
  throughput: (db, { options, per, zone }) => throughput(db, { ...options, per, zone }),
  durations: (db, { options, per, zone }) => durationsOverTime(db, { ...options, per, zone }),
  retries: (db, { options, per, zone }) => reliabilityOverTime(db, { ...options, per, zone }),
  runs: (db, { options, limit }) => runDurations(db, options).limit(limit),
  latency: (db, { options, limit }) => queueLatency(db, options).limit(limit),
  versions: (db, { options, limit }) => workflowVersions(db, options).limit(limit),
  steps: (db, { options, limit }) => stepDurations(db, options).limit(limit),
  reliability: (db, { options, limit }) => stepReliability(db, options).limit(limit),
  funnel: (db, { options, limit }) => stepFunnel(db, options).limit(limit),
  slowest: (db, { options, limit }) => slowestSteps(db, options).limit(limit),
  errors: (db, { options, limit }) => errorCodes(db, options).limit(limit),
  "step-errors": (db, { options, limit }) => stepErrorCodes(db, options).limit(limit),
  stuck: (db, { options, idleMs, limit }) => stuckRuns(db, { ...options, idleMs }).limit(limit),
  pending: (db, { options, limit }) => oldestPending(db, options).limit(limit),
  queue: (db, { options, limit }) => queueDepth(db, options).limit(limit),
  workers: (db, { options, limit }) => workers(db, options).limit(limit),
  storage: (db, { options, limit }) => storage(db, options).limit(limit),
} satisfies Record<string, Report>;

export type ReportName = keyof typeof reports;

export const reportNames = Object.keys(reports) as ReportName[];

/** The columns of a report in order, also of one without rows. */
export function columnsOfReport(
  name: ReportName,
  db: Database,
  given: ReportArguments,
): readonly string[] {
  const report: Report = reports[name];
  // Drizzle's types leave out this method, which its own `union` uses.
  const query = report(db, given) as unknown as { getSelectedFields(): object };
  return Object.keys(query.getSelectedFields());
}

export function runReport(
  name: ReportName,
  db: Database,
  given: ReportArguments,
): PromiseLike<readonly ReportRow[]> {
  const report: Report = reports[name];
  return report(db, given);
}
