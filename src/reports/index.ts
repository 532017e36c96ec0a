export type { BucketOptions, BucketSize } from "./query/buckets.ts";
export { durationsOverTime } from "./durations-over-time.ts";
export type { DurationsOverTimeOptions, DurationsOverTimeRow } from "./durations-over-time.ts";
export { errorCodes, stepErrorCodes } from "./error-codes.ts";
export type { ErrorCodesRow, StepErrorCodesRow } from "./error-codes.ts";
export { oldestPending } from "./oldest-pending.ts";
export type { OldestPendingOptions, OldestPendingRow } from "./oldest-pending.ts";
export type { PresentOptions, ReportOptions } from "./query/options.ts";
export type { ReportDatabase, ReportQuery } from "./query/query.ts";
export { queueDepth } from "./queue-depth.ts";
export type { QueueDepthOptions, QueueDepthRow } from "./queue-depth.ts";
export { queueLatency } from "./queue-latency.ts";
export type { QueueLatencyRow } from "./queue-latency.ts";
export { reliabilityOverTime } from "./reliability-over-time.ts";
export type {
  ReliabilityOverTimeOptions,
  ReliabilityOverTimeRow,
} from "./reliability-over-time.ts";
export { runDurations } from "./run-durations.ts";
export type { RunDurationsOptions, RunDurationsRow } from "./run-durations.ts";
export { slowestSteps } from "./slowest-steps.ts";
export type { SlowestStepsRow } from "./slowest-steps.ts";
export { stepDurations } from "./step-durations.ts";
export type { StepDurationsOptions, StepDurationsRow } from "./step-durations.ts";
export { stepFunnel } from "./step-funnel.ts";
export type { StepFunnelRow } from "./step-funnel.ts";
export { stepReliability } from "./step-reliability.ts";
export type { StepReliabilityRow } from "./step-reliability.ts";
export { storage } from "./storage.ts";
export type { StorageRow } from "./storage.ts";
export { stuckRuns } from "./stuck-runs.ts";
export type { StuckRunsOptions, StuckRunsRow } from "./stuck-runs.ts";
export { throughput } from "./throughput.ts";
export type { ThroughputOptions, ThroughputRow } from "./throughput.ts";
export { workers } from "./workers.ts";
export type { WorkersOptions, WorkersRow } from "./workers.ts";
export { workflowVersions } from "./workflow-versions.ts";
export type { WorkflowVersionsRow } from "./workflow-versions.ts";
