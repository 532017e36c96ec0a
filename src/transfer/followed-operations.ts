import { v7 as uuidv7 } from "uuid";
import type { PrunePolicy } from "../model/retention.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { OperationsStore, type StoreOperations } from "../stores/operations-store.ts";

/** Who is told what a store's writes may have changed, when they are done. */
export interface WriteListener {
  /** This run may have changed, begun to exist or ceased to. */
  touch(runId: string): void;
  /** Runs went by this policy. */
  prune(policy: PrunePolicy): void;
  /** Nobody knows which runs changed. */
  lose(): void;
}

/** Operations that change nothing. */
const reads = [
  "getRun",
  "listRuns",
  "countRuns",
  "getStepExecution",
  "listStepExecutions",
  "listStepAttempts",
  "loadStepOutput",
  "loadState",
  "loadStateEntry",
  "getAllState",
  "readBundles",
  "stats",
] as const satisfies (keyof StoreOperations)[];

/** Operations that change one run: the first argument is its id, or has it. */
const runWrites = [
  "updateRun",
  "reopenRun",
  "deleteRun",
  "createStepExecution",
  "updateStepExecution",
  "saveStepAttempt",
  "saveStepOutput",
  "saveState",
  "deleteState",
  "extendLease",
  "releaseLease",
] as const satisfies (keyof StoreOperations)[];

/**
 * The operations of `store`; `listener` is told of each write after it was done, or failed: what has failed may
 * have been written, where a connection was lost. It is told of a transaction's writes after the commit.
 */
export function followOperations(store: WorkflowStore, listener: WriteListener): StoreOperations {
  const touchRunOf = (argument: unknown): void => {
    const runId =
      typeof argument === "object" && argument !== null && "runId" in argument
        ? argument.runId
        : argument;
    if (typeof runId === "string") listener.touch(runId);
  };

  return {
    ...operationsOf(store, reads, (result) => result),
    ...operationsOf(store, runWrites, (result, [first]) => result.finally(() => touchRunOf(first))),

    async createRun(run, options) {
      const named = withRunId(run);
      // With an idempotency key that is used already, it is another run that is there: it has not changed.
      return store.createRun(named, options).finally(() => touchRunOf(named));
    },

    async claimRuns(claim) {
      try {
        const runs = await store.claimRuns(claim);
        for (const { runId } of runs) listener.touch(runId);
        return runs;
      } catch (error) {
        listener.lose();
        throw error;
      }
    },

    async batch(collect, options) {
      const touched: unknown[] = [];
      return store
        .batch((write) => collect(noteRuns(write, touched)), options)
        .finally(() => touched.forEach(touchRunOf));
    },

    async transaction(work, options) {
      const later: (() => void)[] = [];
      const delayed: WriteListener = {
        touch: (runId) => later.push(() => listener.touch(runId)),
        prune: (policy) => later.push(() => listener.prune(policy)),
        lose: () => later.push(() => listener.lose()),
      };
      return store
        .transaction((tx) => work(new OperationsStore(followOperations(tx, delayed))), options)
        .finally(() => later.forEach((tell) => tell()));
    },

    async writeBundles(bundles, options) {
      return store
        .writeBundles(bundles, options)
        .finally(() => bundles.forEach(({ run }) => touchRunOf(run)));
    },

    async pruneRuns(policy) {
      try {
        const report = await store.pruneRuns(policy);
        if (!report.dryRun) listener.prune(policy);
        return report;
      } catch (error) {
        listener.lose();
        throw error;
      }
    },
  };
}

function operationsOf<Name extends keyof StoreOperations>(
  store: WorkflowStore,
  names: readonly Name[],
  follow: (result: Promise<unknown>, args: readonly unknown[]) => Promise<unknown>,
): Pick<StoreOperations, Name> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      async (...args: unknown[]) =>
        follow(Reflect.apply(store[name], store, args) as Promise<unknown>, args),
    ]),
  ) as Pick<StoreOperations, Name>;
}

/** The batch's writer, which notes what each write is about. */
function noteRuns(write: BatchWriter, touched: unknown[]): BatchWriter {
  return new Proxy(write, {
    get:
      (target, name: keyof BatchWriter) =>
      (first: unknown, ...others: unknown[]) => {
        const named = name === "createRun" ? withRunId(first) : first;
        touched.push(named);
        return Reflect.apply(target[name], target, [named, ...others]);
      },
  });
}

/** A new run gets its id here: the store would make one that nobody knows until it has answered. */
function withRunId<Run>(run: Run): Run {
  if (typeof run !== "object" || run === null) return run;
  return "runId" in run && run.runId !== undefined ? run : { ...run, runId: uuidv7() };
}
