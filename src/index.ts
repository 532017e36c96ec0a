export * from "./errors.ts";
export type { AppDatabase, AppTransaction } from "./drizzle-types.ts";
export { runStatuses, stepStatuses } from "./statuses.ts";
export type { RunStatus, StepStatus } from "./statuses.ts";
export type { Environment } from "./environment.ts";
export { openStore, openStoreFromEnv } from "./open-store.ts";
export type { EnvironmentOptions } from "./open-store.ts";
export type { HostDatabase, WorkflowDatabase } from "./stores/libsql/libsql-store.ts";
export { createBulkChanges } from "./stores/bulk-changes.ts";
export { LibSQLStore } from "./stores/libsql/libsql-store.ts";
export type { OpenOptions } from "./stores/libsql/open-options.ts";
export { SQLiteStore } from "./stores/sqlite/sqlite-store.ts";
export type { SQLiteDatabaseStore } from "./stores/sqlite/sqlite-store.ts";
export type { StoreOptions } from "./stores/sqlite/store-options.ts";
export type { StatementBuilders, WriteBuilder } from "./stores/sqlite/host/builders.ts";
export { MemoryStore } from "./stores/memory/memory-store.ts";
export type { MemoryStoreOptions } from "./stores/memory/memory-store.ts";

// The contract, for custom stores.
export { decodeJson, encodeJson } from "./json.ts";
export type { BundleInput, RunBundle } from "./model/bundles.ts";
export type { BulkOptions, BulkProgress, BulkReport } from "./model/bulk-changes.ts";
export type { RunChanges, StepExecutionChanges } from "./model/changes.ts";
export type { LeaseExtension, LeaseHolder, RunClaim, WorkflowVersion } from "./model/leases.ts";
export type { PrunePolicy, PruneProgress, PruneReport, RefusedRun } from "./model/retention.ts";
export type { RunFilter, RunQuery } from "./model/run-queries.ts";
export type {
  NewStepAttempt,
  NewStepExecution,
  NewWorkflowRun,
  StepAttempt,
  StepExecution,
  WorkflowRun,
  StepExecutionSummary,
  NewRunOf,
  RunOf,
  StepOf,
  SummaryOf,
  WorkflowRunSummary,
} from "./schema/rows.ts";
export type { AttemptStore } from "./store/attempts.ts";
export type { BatchOptions, BatchStore, BatchWriter } from "./store/batches.ts";
export type { BulkStore } from "./store/bulk-changes.ts";
export type {
  BundlePage,
  BundleQuery,
  BundleStore,
  WriteBundlesOptions,
  WriteBundlesReport,
} from "./store/bundles.ts";
export { systemClock } from "./store/clock.ts";
export type { Clock } from "./store/clock.ts";
export type { LeaseStore } from "./store/leases.ts";
export type { MaintenanceStore, StoreStats } from "./store/maintenance.ts";
export type {
  ExpectedRevisionOptions,
  FenceOptions,
  CreateRunOptions,
  OperationOptions,
  ReopenOptions,
  ReadOptions,
  RevisionOptions,
} from "./store/options.ts";
export type { OutputStore } from "./store/outputs.ts";
export type { PauseOptions, PauseStore } from "./store/pauses.ts";
export type { RunPage, RunStore } from "./store/runs.ts";
export type { StateEntry, StateStore } from "./store/state.ts";
export type { StepStore } from "./store/steps.ts";
export { hasHostTransactions } from "./store/transactions.ts";
export type { HostTransactions, TransactionStore } from "./store/transactions.ts";
export type { WorkflowStore } from "./store/workflow-store.ts";

export { stepIf } from "./engine/definition/conditional-step.ts";
export type {
  ConditionalStep,
  OtherwiseValue,
  StepIfOptions,
} from "./engine/definition/conditional-step.ts";
export type { Backoff, RetryOptions, RetryPolicy } from "./model/backoff.ts";
export { defineStep } from "./engine/definition/define-step.ts";
export type { StepOptions } from "./engine/definition/define-step.ts";
export type {
  ConditionContext,
  DrizzleTransaction,
  StepContext,
  StepDefinition,
  StepOutput,
  StepSettings,
  StepState,
  StepTransaction,
  TransactionalDatabase,
} from "./engine/definition/step-definition.ts";
export type {
  InputOf,
  OutputOf,
  StandardIssue,
  StandardResult,
  StandardSchema,
} from "./engine/definition/standard-schema.ts";
export { Engine } from "./engine/engine.ts";
export type {
  CloseOptions,
  EngineOptions,
  FinishedRun,
  RunId,
  RunOptions,
  StartOptions,
} from "./engine/engine-options.ts";
export type {
  EngineEvents,
  EngineEventType,
  EngineListener,
  LeaveReason,
  RunEvent,
  StepEvent,
} from "./engine/observe/events.ts";
export { createConsoleLogger, silentLogger } from "./engine/observe/logger.ts";
export type { BoundLogger, Logger, LogLevel } from "./engine/observe/logger.ts";
export type { RunProgress } from "./engine/run-watch.ts";
export type { StepFailure, StoredError } from "./engine/run/step-errors.ts";
export { defineWorkflow } from "./engine/definition/workflow-builder.ts";
export type {
  EmptyWorkflow,
  OutputsById,
  Workflow,
  WorkflowBuilder,
} from "./engine/definition/workflow-builder.ts";
export type {
  Condition,
  PlannedStep,
  Stage,
  StepInWorkflow,
  WorkflowPlan,
} from "./engine/definition/workflow-plan.ts";
