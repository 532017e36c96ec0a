import { untilAborted } from "../../../async/abort.ts";
import { refuseInsideTransaction, withOpenTransaction } from "../../../async/flow.ts";
import type { WorkflowJson } from "../../../schema/json-types.ts";
import { stepSummaryProperties } from "../../../schema/row-codecs.ts";
import { compareAttempts, compareSteps } from "../../../model/bundles.ts";
import { createOperations } from "../../operations.ts";
import { OperationsStore } from "../../operations-store.ts";
import { withRehearsals } from "../../rehearsal.ts";
import { readChildren } from "../statements/children.ts";
import { readRows, type PlannedWrites, type StoreContext } from "./context.ts";
import { claimRuns, extendLease, releaseLease } from "./leases.ts";
import { createPruning, readStats } from "./maintenance.ts";
import { restartRun } from "./restarts.ts";
import { countRuns, findRun, listRuns } from "./runs.ts";
import { decodeRows, readPage, writeBundles } from "./bundles.ts";
import { findStep, listSteps } from "./steps.ts";
import { carryOut, carryOutBatch, createWrites } from "./writes.ts";

/** Controls whether and when operations may start. */
export interface Gate {
  /** @throws {StoreClosedError} if the store is closed. */
  checkOpen(): void;
  /** Resolves when the database has been checked; null after that. */
  readonly ready: Promise<void> | null;
}

/** The operations on one connection: a database, a transaction or a savepoint. */
export class SQLiteOperations<
  Json extends WorkflowJson = WorkflowJson,
> extends OperationsStore<Json> {
  constructor(context: StoreContext, gate: Gate) {
    const { connection, codecs, statements, clock } = context;
    const { children, outputs, state } = statements;
    const perform = <T>(
      _kind: "read" | "write",
      signal: AbortSignal | undefined,
      operation: () => T | Promise<T>,
    ): Promise<T> => performWhen(this, gate, signal, operation);
    const pruneRuns = createPruning(context);
    const writes = createWrites(context);

    super(
      createOperations<PlannedWrites>({
        clock,
        perform,
        writes: connection.hasTransactions === false ? withRehearsals(writes) : writes,
        carryOut: (plan, signal) => carryOut(connection, plan, signal),
        batch: (plans, demands, signal) => carryOutBatch(context, plans, demands, signal),
        restartRun: (restart, signal) => restartRun(context, restart, signal),
        transaction: (work, signal) =>
          perform("write", signal, () =>
            connection.transaction(
              (transaction) => {
                // The store may have been closed, or the call aborted, while it waited.
                gate.checkOpen();
                signal?.throwIfAborted();
                const tx = new SQLiteOperations({ ...context, connection: transaction }, gate);
                return withOpenTransaction(this, async () => {
                  const result = await work(tx);
                  // An aborted call has rejected already, so nothing of it may be committed.
                  signal?.throwIfAborted();
                  return result;
                });
              },
              { signal },
            ),
          ),

        findRun: (runId, payloads) => findRun(context, runId, payloads),
        listRuns: (query, payloads) => listRuns(context, query, payloads),
        countRuns: (filter) => countRuns(context, filter),
        findStep: (key) => findStep(context, key),
        listSteps: (runId) => listSteps(context, runId),
        async listStepSummaries(runId) {
          const rows = await readChildren(connection, children.stepSummaries, runId);
          const steps = rows.map((row) => codecs.steps.decodeCells(stepSummaryProperties, row));
          return steps.toSorted(compareSteps);
        },
        async listAttempts(runId) {
          const rows = await readChildren(connection, children.attempts, runId);
          return decodeRows(codecs.attempts, rows).toSorted(compareAttempts);
        },
        async findOutput(key) {
          const [row] = await readRows(connection, outputs.get.bind({ ...key }));
          return row ? codecs.outputs.decodeCells(codecs.outputs.properties, row) : null;
        },
        async findState(key) {
          const [row] = await readRows(connection, state.get.bind({ ...key }));
          return row ? codecs.state.decodeCells(codecs.state.properties, row) : null;
        },
        async listState(runId) {
          const rows = await readChildren(connection, children.state, runId);
          return decodeRows(codecs.state, rows);
        },

        claimRuns: (claim) => claimRuns(context, claim),
        extendLease: (lease) => extendLease(context, lease),
        releaseLease: (lease) => releaseLease(context, lease),
        async listPauses() {
          const rows = await readRows(connection, statements.pauses.list.bind({}));
          return decodeRows(codecs.pauses, rows);
        },
        readBundles: (query) => readPage(context, query),
        writeBundles: (bundles, options) => writeBundles(context, bundles, options),
        pruneRuns: (policy) => perform("write", policy.signal, () => pruneRuns(policy)),
        stats: () => readStats(context),
      }),
    );
  }
}

/** Executes `operation` immediately if the store is ready. It may throw before it returns a promise. */
function performWhen<T>(
  store: object,
  gate: Gate,
  signal: AbortSignal | undefined,
  operation: () => T | Promise<T>,
): Promise<T> {
  gate.checkOpen();
  signal?.throwIfAborted();
  refuseInsideTransaction(store);
  if (gate.ready === null) return untilAborted(signal, Promise.resolve(operation()));
  return gate.ready.then(() => {
    signal?.throwIfAborted();
    return untilAborted(signal, Promise.resolve(operation()));
  });
}
