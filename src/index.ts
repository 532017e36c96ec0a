export * from "./errors.ts";
export { runStatuses, stepStatuses } from "./statuses.ts";
export type { RunStatus, StepStatus } from "./statuses.ts";
export { LibSQLStore } from "./stores/libsql/libsql-store.ts";
