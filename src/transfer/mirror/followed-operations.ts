import { v7 as uuidv7 } from "uuid";
import { GorkflowError, InvalidArgumentError, StoreConnectionError } from "../../errors.ts";
import { untilEnded } from "../../async/abort.ts";
import type { BundleInput } from "../../model/bundles.ts";
import { isId } from "../../schema/zod.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { OperationsStore, type StoreOperations } from "../../stores/operations-store.ts";

/** Hears what a store's writes may have changed, when they have ended. */
export interface WriteListener {
  /** This run may have changed, begun to exist or ceased to. */
  touch(runId: string): void;
  /** Some runs may have changed, been created or deleted: their lists tell which. */
  touchUnknown(): void;
  /** The answer to a write was lost: it may take effect after this call. */
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
 * The operations of `store`. `listener` hears of each write when it has really ended, even if it failed or its
 * caller was released by a signal before; of a transaction's writes, when the transaction has.
 */
export function followOperations(store: WorkflowStore, listener: WriteListener): StoreOperations {
  const touch = (runId: unknown): void => {
    // An id that no run can have is refused by the store.
    if (isId(runId)) listener.touch(runId);
  };

  /** Calls the operation, and then `tell` with its result, or null if it failed. */
  async function follow<Name extends keyof StoreOperations>(
    name: Name,
    args: readonly unknown[],
    tell: (result: Awaited<ReturnType<StoreOperations[Name]>> | null, error: unknown) => void,
  ) {
    const signal = signalOf(args);
    const call = (own?: AbortSignal) =>
      Reflect.apply(
        store[name],
        store,
        own === undefined
          ? args
          : [...args.slice(0, -1), { ...(args.at(-1) as object), signal: own }],
      ) as ReturnType<StoreOperations[Name]>;
    try {
      const result = await (signal === undefined ? call() : untilEnded(signal, call));
      tell(result as Awaited<ReturnType<StoreOperations[Name]>>, null);
      return result;
    } catch (error) {
      if (error instanceof StoreConnectionError && error.outcome === "unknown") listener.lose();
      tell(null, error);
      throw error;
    }
  }

  const operations = {
    ...Object.fromEntries(
      reads.map((name) => [
        name,
        async (...args: unknown[]) => Reflect.apply(store[name], store, args) as unknown,
      ]),
    ),
    ...Object.fromEntries(
      runWrites.map((name) => [
        name,
        async (...args: unknown[]) => follow(name, args, () => touch(runIdOf(args[0]))),
      ]),
    ),

    createRun: async (...args: unknown[]) =>
      follow("createRun", args, (run, error) => {
        const runId = run?.runId ?? runIdOf(args[0]);
        if (isId(runId)) listener.touch(runId);
        else if (mayHaveWritten(error)) listener.touchUnknown();
      }),

    claimRuns: async (...args: unknown[]) =>
      follow("claimRuns", args, (runs, error) => {
        for (const { runId } of runs ?? []) touch(runId);
        if (mayHaveWritten(error)) listener.touchUnknown();
      }),

    async batch(collect: (write: BatchWriter) => void, ...options: unknown[]) {
      const touched: unknown[] = [];
      const noted = (write: BatchWriter) => collect(noteRuns(write, touched));
      return follow("batch", [noted, ...options], () => touched.forEach(touch));
    },

    async transaction(work: (tx: WorkflowStore) => Promise<unknown>, ...options: unknown[]) {
      const later: (() => void)[] = [];
      const delayed: WriteListener = {
        touch: (runId) => later.push(() => listener.touch(runId)),
        touchUnknown: () => later.push(() => listener.touchUnknown()),
        lose: () => later.push(() => listener.lose()),
      };
      const followed = (tx: WorkflowStore) =>
        work(new OperationsStore(followOperations(tx, delayed)));
      return follow("transaction", [followed, ...options], () => later.forEach((tell) => tell()));
    },

    writeBundles: async (bundles: readonly BundleInput[], ...options: unknown[]) =>
      follow("writeBundles", [bundles, ...options], () => {
        if (Array.isArray(bundles)) for (const bundle of bundles) touch(runIdOf(bundle?.run));
      }),

    pruneRuns: async (...args: unknown[]) =>
      follow("pruneRuns", args, (report, error) => {
        // A prune that failed may have deleted some batches before.
        if (report?.dryRun !== true && !(error instanceof InvalidArgumentError)) {
          listener.touchUnknown();
        }
      }),
  };
  return operations as unknown as StoreOperations;
}

/** The signal of a call: an option of its last argument. */
export function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const last = args.at(-1);
  const signal: unknown =
    typeof last === "object" && last !== null && "signal" in last ? last.signal : undefined;
  return signal instanceof AbortSignal ? signal : undefined;
}

function runIdOf(argument: unknown): unknown {
  return typeof argument === "object" && argument !== null && "runId" in argument
    ? argument.runId
    : argument;
}

/** Errors of a store say that nothing was written, unless the answer was lost. */
function mayHaveWritten(error: unknown): boolean {
  if (error === null) return false;
  return (
    !(error instanceof GorkflowError) ||
    (error instanceof StoreConnectionError && error.outcome === "unknown")
  );
}

/** The batch's writer, which notes the run of each write. */
function noteRuns(write: BatchWriter, touched: unknown[]): BatchWriter {
  return new Proxy(write, {
    get:
      (target, name: keyof BatchWriter) =>
      (first: unknown, ...others: unknown[]) => {
        const named = name === "createRun" ? withRunId(first) : first;
        touched.push(runIdOf(named));
        return Reflect.apply(target[name], target, [named, ...others]);
      },
  });
}

/** A batch returns no ids, so a run that it creates gets its id here. */
function withRunId<Run>(run: Run): Run {
  if (typeof run !== "object" || run === null) return run;
  return "runId" in run && run.runId !== undefined ? run : { ...run, runId: uuidv7() };
}
