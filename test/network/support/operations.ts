import type { StoreOperations } from "../../../src/store/operations.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

/** The run that operations are about, and a store that sees the database as it is. */
interface Given {
  readonly runId: string;
  readonly direct: WorkflowStore;
}

interface Operation {
  /** Makes what the operation needs. */
  readonly prepare?: (given: Given) => Promise<unknown>;
  readonly call: (store: WorkflowStore, given: Given) => Promise<unknown>;
  /** Which of its requests the lie is about; the first by default. */
  readonly lieAt?: number;
  /** Absent for an operation that writes nothing. */
  readonly isDone?: (given: Given) => Promise<boolean>;
}

const workerId = "worker";
const claim = ({ direct }: Given) => direct.claimRuns({ workerId, leaseMs: 60_000, limit: 100 });
const exists = (promise: Promise<unknown>) =>
  promise.then(
    () => true,
    () => false,
  );

const isPaused = async (store: WorkflowStore, id: string) =>
  (await store.listPausedWorkflows()).some(({ workflowId }) => workflowId === id);

/** One call of every operation of the contract. */
export const operations: Record<keyof StoreOperations, Operation> = {
  createRun: {
    call: (store, { runId }) => store.createRun({ runId: `${runId}-new`, workflowId: "w" }),
    isDone: ({ direct, runId }) => exists(direct.getRun(`${runId}-new`)),
  },
  getRun: { call: (store, { runId }) => store.getRun(runId) },
  findRun: { call: (store, { runId }) => store.findRun(runId, { payloads: false }) },
  getRuns: { call: (store, { runId }) => store.getRuns([runId]) },
  updateRun: {
    call: (store, { runId }) => store.updateRun(runId, { progress: 0.5 }, { expectedRevision: 1 }),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).progress === 0.5,
  },
  reopenRun: {
    prepare: ({ direct, runId }) => direct.updateRun(runId, { status: "FAILED" }),
    call: (store, { runId }) => store.reopenRun(runId),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).status === "PENDING",
  },
  listRuns: { call: (store) => store.listRuns({ payloads: true }) },
  countRuns: { call: (store) => store.countRuns() },
  deleteRun: {
    call: (store, { runId }) => store.deleteRun(runId),
    isDone: async ({ direct, runId }) => !(await exists(direct.getRun(runId))),
  },
  cancelRuns: {
    call: (store) => store.cancelRuns({ status: "PENDING" }),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).status === "CANCELLED",
  },
  reopenRuns: {
    prepare: ({ direct, runId }) => direct.updateRun(runId, { status: "FAILED" }),
    call: (store) => store.reopenRuns({ status: "FAILED" }),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).status === "PENDING",
  },
  deleteRuns: {
    prepare: ({ direct, runId }) => direct.updateRun(runId, { status: "FAILED" }),
    call: (store) => store.deleteRuns({ status: "FAILED" }),
    isDone: async ({ direct, runId }) => !(await exists(direct.getRun(runId))),
  },
  createStepExecution: {
    call: (store, { runId }) => store.createStepExecution({ runId, stepId: "s" }),
    isDone: ({ direct, runId }) => exists(direct.getStepExecution(runId, "s")),
  },
  getStepExecution: {
    prepare: ({ direct, runId }) => direct.createStepExecution({ runId, stepId: "s" }),
    call: (store, { runId }) => store.getStepExecution(runId, "s"),
  },
  findStepExecution: { call: (store, { runId }) => store.findStepExecution(runId, "s") },
  updateStepExecution: {
    prepare: ({ direct, runId }) => direct.createStepExecution({ runId, stepId: "s" }),
    call: (store, { runId }) => store.updateStepExecution(runId, "s", { status: "RUNNING" }),
    isDone: async ({ direct, runId }) =>
      (await direct.getStepExecution(runId, "s")).status === "RUNNING",
  },
  listStepExecutions: { call: (store, { runId }) => store.listStepExecutions(runId) },
  saveStepAttempt: {
    call: (store, { runId }) =>
      store.saveStepAttempt({
        runId,
        stepId: "s",
        attempt: 1,
        status: "FAILED",
        startedAt: new Date(),
      }),
    isDone: async ({ direct, runId }) => (await direct.listStepAttempts(runId)).length > 0,
  },
  listStepAttempts: { call: (store, { runId }) => store.listStepAttempts(runId) },
  saveStepOutput: {
    call: (store, { runId }) => store.saveStepOutput(runId, "s", 1),
    isDone: ({ direct, runId }) => exists(direct.loadStepOutput(runId, "s")),
  },
  loadStepOutput: {
    prepare: ({ direct, runId }) => direct.saveStepOutput(runId, "s", 1),
    call: (store, { runId }) => store.loadStepOutput(runId, "s"),
  },
  findStepOutput: { call: (store, { runId }) => store.findStepOutput(runId, "s") },
  saveState: {
    call: (store, { runId }) => store.saveState(runId, "k", 1, { expectedRevision: 0 }),
    isDone: ({ direct, runId }) => exists(direct.loadState(runId, "k")),
  },
  loadState: {
    prepare: ({ direct, runId }) => direct.saveState(runId, "k", 1),
    call: (store, { runId }) => store.loadState(runId, "k"),
  },
  loadStateEntry: {
    prepare: ({ direct, runId }) => direct.saveState(runId, "k", 1),
    call: (store, { runId }) => store.loadStateEntry(runId, "k"),
  },
  findState: { call: (store, { runId }) => store.findState(runId, "k") },
  deleteState: {
    prepare: ({ direct, runId }) => direct.saveState(runId, "k", 1),
    call: (store, { runId }) => store.deleteState(runId, "k"),
    isDone: async ({ direct, runId }) => !(await exists(direct.loadState(runId, "k"))),
  },
  getAllState: { call: (store, { runId }) => store.getAllState(runId) },
  claimRuns: {
    call: (store) => store.claimRuns({ workerId, leaseMs: 60_000, limit: 1 }),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).workerId === workerId,
  },
  extendLease: {
    prepare: claim,
    call: (store, { runId }) => store.extendLease({ runId, workerId, leaseMs: 3_600_000 }),
    isDone: async ({ direct, runId }) =>
      ((await direct.getRun(runId)).leaseExpiresAt?.getTime() ?? 0) > Date.now() + 600_000,
  },
  releaseLease: {
    prepare: claim,
    call: (store, { runId }) => store.releaseLease({ runId, workerId }),
    isDone: async ({ direct, runId }) => (await direct.getRun(runId)).workerId === null,
  },
  pauseWorkflow: {
    call: (store, { runId }) => store.pauseWorkflow(runId, { reason: "r" }),
    isDone: ({ direct, runId }) => isPaused(direct, runId),
  },
  resumeWorkflow: {
    prepare: ({ direct, runId }) => direct.pauseWorkflow(runId),
    call: (store, { runId }) => store.resumeWorkflow(runId),
    isDone: async ({ direct, runId }) => !(await isPaused(direct, runId)),
  },
  listPausedWorkflows: { call: (store) => store.listPausedWorkflows() },
  batch: {
    call: (store, { runId }) =>
      store.batch((write) => {
        write.updateRun(runId, { progress: 0.5 }, { expectedRevision: 1 });
        write.saveStepOutput(runId, "s", 1);
      }),
    isDone: ({ direct, runId }) => exists(direct.loadStepOutput(runId, "s")),
  },
  transaction: {
    // The commit. A transaction whose beginning is not answered holds the lock of the server for seconds.
    lieAt: 1,
    call: (store, { runId }) => store.transaction((tx) => tx.saveState(runId, "k", 1)),
    isDone: ({ direct, runId }) => exists(direct.loadState(runId, "k")),
  },
  readBundles: { call: (store, { runId }) => store.readBundles({ runIds: [runId] }) },
  writeBundles: {
    call: async (store, { direct, runId }) => {
      const [bundle] = (await direct.readBundles({ runIds: [runId] })).bundles;
      if (bundle === undefined) throw new Error("the run is there");
      const run = { ...bundle.run, runId: `${runId}-new` };
      return store.writeBundles([{ ...bundle, run }], { onConflict: "fail" });
    },
    isDone: ({ direct, runId }) => exists(direct.getRun(`${runId}-new`)),
  },
  pruneRuns: {
    prepare: ({ direct, runId }) => direct.updateRun(runId, { status: "CANCELLED" }),
    call: (store) => store.pruneRuns({ olderThan: new Date(Date.now() + 1000) }),
    isDone: async ({ direct, runId }) => !(await exists(direct.getRun(runId))),
  },
  stats: { call: (store) => store.stats() },
};
