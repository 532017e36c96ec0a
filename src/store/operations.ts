import type { WorkflowStore } from "./workflow-store.ts";

/** The operations of a store, as functions that do not use `this`. */
export type StoreOperations = Omit<WorkflowStore, "close">;

const kinds = {
  createRun: "write",
  getRun: "read",
  findRun: "read",
  getRuns: "read",
  updateRun: "write",
  reopenRun: "write",
  listRuns: "read",
  countRuns: "read",
  deleteRun: "write",
  cancelRuns: "write",
  reopenRuns: "write",
  deleteRuns: "write",
  createStepExecution: "write",
  getStepExecution: "read",
  findStepExecution: "read",
  updateStepExecution: "write",
  listStepExecutions: "read",
  saveStepAttempt: "write",
  listStepAttempts: "read",
  saveStepOutput: "write",
  loadStepOutput: "read",
  findStepOutput: "read",
  saveState: "write",
  loadState: "read",
  loadStateEntry: "read",
  findState: "read",
  deleteState: "write",
  getAllState: "read",
  claimRuns: "write",
  extendLease: "write",
  releaseLease: "write",
  pauseWorkflow: "write",
  resumeWorkflow: "write",
  listPausedWorkflows: "read",
  batch: "write",
  transaction: "write",
  readBundles: "read",
  writeBundles: "write",
  pruneRuns: "write",
  stats: "read",
} satisfies Record<keyof StoreOperations, "read" | "write">;

/** The names of the operations. */
export const operationNames = Object.keys(kinds) as (keyof StoreOperations)[];

/** True if the operation changes nothing. */
export function isRead(name: keyof StoreOperations): boolean {
  return kinds[name] === "read";
}
