export * from "./errors.ts";
export { runStatuses, stepStatuses } from "./statuses.ts";
export type { RunStatus, StepStatus } from "./statuses.ts";
export { LibSQLStore } from "./stores/libsql/libsql-store.ts";
export { defineStep } from "./engine/define-step.ts";
export type { StepDefinition, StepOptions, StepOutput } from "./engine/define-step.ts";
export { Engine } from "./engine/engine.ts";
export type {
  CloseOptions,
  EngineOptions,
  FinishedRun,
  StartOptions,
} from "./engine/engine-options.ts";
export { silentLogger } from "./engine/logger.ts";
export type { Logger } from "./engine/logger.ts";
export type { StepContext } from "./engine/step-context.ts";
export type { StepFailure, StoredError } from "./engine/step-errors.ts";
export type { StepState } from "./engine/step-state.ts";
export type { DrizzleTransaction, StepTransaction } from "./engine/step-transaction.ts";
export { defineWorkflow } from "./engine/workflow-builder.ts";
export type {
  EmptyWorkflow,
  OutputsById,
  Workflow,
  WorkflowBuilder,
} from "./engine/workflow-builder.ts";
export type { Condition, ConditionContext } from "./engine/workflow-plan.ts";
