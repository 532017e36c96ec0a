import { GorkflowError, InvalidArgumentError } from "../../errors.ts";
import { operationsEnded, untilEnded } from "../../async/abort.ts";
import type { RunBundle } from "../../model/bundles.ts";
import type { PruneReport } from "../../model/retention.ts";
import { newId } from "../../new-id.ts";
import { isId } from "../../schema/zod.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { CreateRunOptions } from "../../store/options.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { isRead, operationNames, type StoreOperations } from "../../store/operations.ts";
import { createBulkChanges } from "../../stores/bulk-changes.ts";
import { OperationsStore } from "../../stores/operations-store.ts";
import { isAnswerLost } from "../refusals.ts";

/** The change of a pause. All pauses are copied together. */
export const pauses = Symbol("pauses");

/** A run that may have been changed, created or deleted; null: some runs, which only the lists tell. */
export type Change = string | null | typeof pauses;

/** Receives the changes of a write. If its answer was lost, the write may take effect after this call. */
type WriteListener = (changes: readonly Change[], isLost: boolean) => void;

/**
 * The operations of `store`. `listener` is told of each write when it has really ended, even if it failed or a signal
 * released its caller earlier; of a transaction's writes, when the transaction has ended.
 */
export function followOperations(store: WorkflowStore, listener: WriteListener): StoreOperations {
  const call = async (name: keyof StoreOperations, args: readonly unknown[]) =>
    Reflect.apply(store[name], store, args) as unknown;

  /** `inner` collects the changes of a write that consists of several. */
  async function follow(
    name: keyof StoreOperations,
    args: readonly unknown[],
    inner?: { readonly runIds: readonly unknown[]; readonly isLost: boolean },
  ): Promise<unknown> {
    const report = (result: unknown, error: unknown) => {
      const runIds = inner?.runIds ?? changedBy[name]?.(args, result, error) ?? [runIdOf(args[0])];
      // The store refuses an id that no run can have.
      const changes = runIds.filter(
        (runId): runId is Change => runId === null || runId === pauses || isId(runId),
      );
      listener(changes, isAnswerLost(error) || inner?.isLost === true);
    };
    const signal = signalOf(args);
    /** The errors of operations that were aborted. The caller gets the reason of the signal instead. */
    const errors: Promise<unknown[]>[] = [];
    const callUnder = (own: AbortSignal) => {
      own.addEventListener("abort", () => errors.push(operationsEnded(own)));
      return call(name, [...args.slice(0, -1), { ...(args.at(-1) as object), signal: own }]);
    };
    try {
      const result = await (signal ? untilEnded(signal, callUnder) : call(name, args));
      report(result, null);
      return result;
    } catch (error) {
      report(null, (await Promise.all(errors)).flat().find(isAnswerLost) ?? error);
      throw error;
    }
  }

  const operations = Object.fromEntries(
    operationNames.map((name) => [
      name,
      async (...args: unknown[]) => (isRead(name) ? call(name, args) : follow(name, args)),
    ]),
  );
  const followed = {
    ...operations,

    async batch(collect: (write: BatchWriter) => void, ...options: unknown[]) {
      const inner = { runIds: [] as unknown[], isLost: false };
      const noted = (write: BatchWriter) => collect(noteRuns(write, inner.runIds));
      return follow("batch", [noted, ...options], inner);
    },

    async transaction(work: (tx: WorkflowStore) => Promise<unknown>, ...options: unknown[]) {
      const inner = { runIds: [] as unknown[], isLost: false };
      const listen: WriteListener = (changes, isLost) => {
        inner.runIds.push(...changes);
        inner.isLost ||= isLost;
      };
      const followedWork = (tx: WorkflowStore) =>
        work(new OperationsStore(followOperations(tx, listen)));
      return follow("transaction", [followedWork, ...options], inner);
    },
  } as unknown as StoreOperations;
  // Made of single writes, each of which tells its run.
  return { ...followed, ...createBulkChanges(followed) };
}

type ChangedBy = (args: readonly unknown[], result: unknown, error: unknown) => readonly unknown[];

/** What a write may have changed, if its first argument is not the id of its run. */
const changedBy: Partial<Record<keyof StoreOperations, ChangedBy>> = {
  createRun: ([run, options], created, error) => {
    const runId = runIdOf(created ?? run);
    return [...holdersOf(options), ...(isId(runId) ? [runId] : unknownAfter(error))];
  },
  claimRuns: (_, runs, error) => (Array.isArray(runs) ? runs.map(runIdOf) : unknownAfter(error)),
  writeBundles: ([bundles]) =>
    [bundles].flat().map((bundle) => runIdOf((bundle as Partial<RunBundle> | null)?.run)),
  pauseWorkflow: (_, changed) => (changed === false ? [] : [pauses]),
  resumeWorkflow: (_, changed) => (changed === false ? [] : [pauses]),
  // A prune that failed may have deleted some batches before.
  pruneRuns: (_, pruned, error) =>
    (pruned as PruneReport | null)?.dryRun === true || error instanceof InvalidArgumentError
      ? []
      : [null],
};

/** The run that may lose its key to a new one. */
function holdersOf(options: unknown): unknown[] {
  const { takeKeyFrom } = (options ?? {}) as CreateRunOptions;
  return takeKeyFrom === undefined ? [] : [runIdOf(takeKeyFrom)];
}

/** Some run may have changed, unless the error is one of a store that says that nothing was written. */
function unknownAfter(error: unknown): [] | [null] {
  return error instanceof GorkflowError && !isAnswerLost(error) ? [] : [null];
}

/** The signal of a call: an option of its last argument. */
export function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const signal: unknown = (args.at(-1) as { readonly signal?: unknown } | null | undefined)?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}

function runIdOf(argument: unknown): unknown {
  return typeof argument === "object" && argument !== null && "runId" in argument
    ? argument.runId
    : argument;
}

/** The batch's writer, which notes the run of each write. */
function noteRuns(write: BatchWriter, written: unknown[]): BatchWriter {
  return new Proxy(write, {
    get:
      (target, name: keyof BatchWriter) =>
      (first: unknown, ...others: unknown[]) => {
        const named = name === "createRun" ? withRunId(first) : first;
        if (name === "createRun") written.push(...holdersOf(others[0]));
        written.push(runIdOf(named));
        return Reflect.apply(target[name], target, [named, ...others]);
      },
  });
}

/** A batch returns no ids, so a run that it creates gets its id here. */
function withRunId(run: unknown): unknown {
  if (typeof run !== "object" || run === null) return run;
  return "runId" in run && run.runId !== undefined ? run : { ...run, runId: newId() };
}
