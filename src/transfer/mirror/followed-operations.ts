import { uuidv7 } from "../../uuid.ts";
import { GorkflowError, InvalidArgumentError } from "../../errors.ts";
import { untilEnded } from "../../async/abort.ts";
import type { BundleInput } from "../../model/bundles.ts";
import { isId } from "../../schema/zod.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  isRead,
  operationNames,
  OperationsStore,
  type StoreOperations,
} from "../../stores/operations-store.ts";
import { isAnswerLost } from "../refusals.ts";

/** Receives what a store's writes may have changed, when they have ended. */
export interface WriteListener {
  /** The run may have been changed, created or deleted; null: some runs, which the lists tell. */
  touch(runId: string | null): void;
  /** The answer to a write was lost: it may take effect after this call. */
  lose(): void;
}

/**
 * The operations of `store`. `listener` is told of each write when it has really ended, even if it failed or a signal
 * released its caller earlier; of a transaction's writes, when the transaction has ended.
 */
export function followOperations(store: WorkflowStore, listener: WriteListener): StoreOperations {
  const report = (runIds: readonly unknown[]): void => {
    // The store refuses an id that no run can have.
    for (const runId of runIds) if (runId === null || isId(runId)) listener.touch(runId);
  };

  /** Calls the operation, then reports the runs that `changedBy` names. */
  async function follow<Name extends keyof StoreOperations>(
    name: Name,
    args: readonly unknown[],
    changedBy: (
      result: Awaited<ReturnType<StoreOperations[Name]>> | null,
      error: unknown,
    ) => readonly unknown[],
  ) {
    const signal = signalOf(args);
    const call = (own?: AbortSignal) => {
      const given = own
        ? [...args.slice(0, -1), { ...(args.at(-1) as object), signal: own }]
        : args;
      return Reflect.apply(store[name], store, given) as ReturnType<StoreOperations[Name]>;
    };
    try {
      const result = await (signal === undefined ? call() : untilEnded(signal, call));
      report(changedBy(result as Awaited<ReturnType<StoreOperations[Name]>>, null));
      return result;
    } catch (error) {
      if (isAnswerLost(error)) listener.lose();
      report(changedBy(null, error));
      throw error;
    }
  }

  const operations = Object.fromEntries(
    operationNames.map((name) => [
      name,
      isRead(name)
        ? async (...args: unknown[]) => Reflect.apply(store[name], store, args) as unknown
        : async (...args: unknown[]) => follow(name, args, () => [runIdOf(args[0])]),
    ]),
  );
  return Object.assign(operations, {
    createRun: async (...args: unknown[]) =>
      follow("createRun", args, (run, error) => {
        const runId = run?.runId ?? runIdOf(args[0]);
        return isId(runId) ? [runId] : unknownAfter(error);
      }),

    claimRuns: async (...args: unknown[]) =>
      follow("claimRuns", args, (runs, error) =>
        runs === null ? unknownAfter(error) : runs.map(({ runId }) => runId),
      ),

    async batch(collect: (write: BatchWriter) => void, ...options: unknown[]) {
      const written: unknown[] = [];
      const noted = (write: BatchWriter) => collect(noteRuns(write, written));
      return follow("batch", [noted, ...options], () => written);
    },

    async transaction(work: (tx: WorkflowStore) => Promise<unknown>, ...options: unknown[]) {
      const written: (string | null)[] = [];
      let lost = 0;
      const inside: WriteListener = { touch: (runId) => written.push(runId), lose: () => lost++ };
      const followed = (tx: WorkflowStore) =>
        work(new OperationsStore(followOperations(tx, inside)));
      return follow("transaction", [followed, ...options], () => {
        for (; lost > 0; lost--) listener.lose();
        return written;
      });
    },

    writeBundles: async (bundles: readonly BundleInput[], ...options: unknown[]) =>
      follow("writeBundles", [bundles, ...options], () =>
        Array.isArray(bundles) ? bundles.map((bundle) => runIdOf(bundle?.run)) : [],
      ),

    pruneRuns: async (...args: unknown[]) =>
      // A prune that failed may have deleted some batches before.
      follow("pruneRuns", args, (pruned, error) =>
        pruned?.dryRun === true || error instanceof InvalidArgumentError ? [] : [null],
      ),
  }) as unknown as StoreOperations;
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

/** Some run may have changed, unless the error is one of a store that says that nothing was written. */
function unknownAfter(error: unknown): [] | [null] {
  return error instanceof GorkflowError && !isAnswerLost(error) ? [] : [null];
}

/** The batch's writer, which notes the run of each write. */
function noteRuns(write: BatchWriter, written: unknown[]): BatchWriter {
  return new Proxy(write, {
    get:
      (target, name: keyof BatchWriter) =>
      (first: unknown, ...others: unknown[]) => {
        const named = name === "createRun" ? withRunId(first) : first;
        written.push(runIdOf(named));
        return Reflect.apply(target[name], target, [named, ...others]);
      },
  });
}

/** A batch returns no ids, so a run that it creates gets its id here. */
function withRunId(run: unknown): unknown {
  if (typeof run !== "object" || run === null) return run;
  return "runId" in run && run.runId !== undefined ? run : { ...run, runId: uuidv7() };
}
