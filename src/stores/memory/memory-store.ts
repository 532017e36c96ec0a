import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { untilAborted } from "../../async/abort.ts";
import { refuseInsideTransaction, withOpenTransaction } from "../../async/flow.ts";
import { Mutex } from "../../async/mutex.ts";
import { whileOthersWait } from "../../async/open-transaction.ts";
import { StoreClosedError, UnsupportedError } from "../../errors.ts";
import { functionSchema } from "../../model/arguments.ts";
import { systemClock, type Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { createOperations, type Backend } from "../operations.ts";
import { OperationsStore } from "../operations-store.ts";
import { writeBundles } from "./bundles.ts";
import { claimRuns, extendLease, releaseLease } from "./leases.ts";
import { pruneRuns, readStats } from "./maintenance.ts";
import { Overlay } from "./overlay.ts";
import {
  countRuns,
  decodeStep,
  listAttempts,
  listPauses,
  listRuns,
  listState,
  listSteps,
  listStepSummaries,
  readBundles,
  readRun,
  readSummary,
} from "./reads.ts";
import { rowCodecs as codecs } from "../../schema/row-codecs.ts";
import { BaseTables, type Tables } from "./tables.ts";
import { checkDemands, restartRun, writes, type PlannedWrites } from "./writes.ts";

/** The operations on the committed rows, or on the changes of a transaction. */
class MemoryOperations extends OperationsStore {
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #checkOpen: () => void;
  readonly #mutex = new Mutex();
  readonly #isTransaction: boolean;
  #state: "open" | "in savepoint" | "ended" = "open";

  constructor(tables: Tables, clock: Clock, checkOpen: () => void, isTransaction = false) {
    const perform: Backend<PlannedWrites>["perform"] = async (kind, signal, operation) => {
      this.#checkUsable(signal);
      if (kind === "read") return operation();
      const waiting = this.#mutex.run(() => {
        this.#checkTurn(signal);
        return operation();
      });
      return untilAborted(signal, waiting);
    };
    super(
      createOperations<PlannedWrites>({
        clock,
        perform,
        writes,
        carryOut: (plan, _signal) => plan(tables)(),
        batch(plans, demands) {
          const overlay = new Overlay(tables);
          checkDemands(overlay, demands);
          for (const plan of plans) plan(overlay);
          overlay.commit();
        },
        restartRun: (restart, _signal) => restartRun(tables, restart),
        transaction: async (work, signal) => {
          this.#checkUsable(signal);
          const waiting = this.#mutex.run(() => this.#transact(work, signal));
          return untilAborted(signal, waiting);
        },

        findRun(runId, payloads) {
          const run = tables.getRun(runId);
          return run === undefined ? null : payloads ? readRun(run) : readSummary(run);
        },
        listRuns: (query, payloads) => listRuns(tables, query, payloads),
        countRuns: (filter) => countRuns(tables, filter),
        findStep({ runId, stepId }) {
          const row = tables.children("steps", runId).get(stepId);
          return row === undefined ? null : decodeStep(tables, row);
        },
        listSteps: (runId) => listSteps(tables, runId),
        listStepSummaries: (runId) => listStepSummaries(tables, runId),
        listAttempts: (runId) => listAttempts(tables, runId),
        findOutput({ runId, stepId }) {
          const row = tables.children("outputs", runId).get(stepId);
          return row === undefined ? null : codecs.outputs.decode(row);
        },
        findState({ runId, key }) {
          const row = tables.children("state", runId).get(key);
          return row === undefined ? null : codecs.state.decode(row);
        },
        listState: (runId) => listState(tables, runId),

        claimRuns: (claim) => claimRuns(tables, claim, clock()),
        extendLease: (lease) => extendLease(tables, lease, clock()),
        releaseLease: (lease) => releaseLease(tables, lease, clock()),
        listPauses: () => listPauses(tables),
        readBundles: (query) => readBundles(tables, query),
        writeBundles(bundles, options) {
          const writeAll = writeBundles(bundles, options);
          return () => writeAll(tables);
        },
        pruneRuns: (policy) => pruneRuns(tables, perform, policy),
        stats: () => readStats(tables),
      }),
    );
    this.#tables = tables;
    this.#clock = clock;
    this.#checkOpen = checkOpen;
    this.#isTransaction = isTransaction;
  }

  async #transact<T>(
    work: (tx: WorkflowStore) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    this.#checkTurn(signal);
    const overlay = new Overlay(this.#tables);
    const tx = new MemoryOperations(overlay, this.#clock, () => this.#checkTurn(), true);
    if (this.#isTransaction) this.#state = "in savepoint";
    try {
      const result = await whileOthersWait(
        () => withOpenTransaction(this, () => work(tx)),
        (time, error) => this.#mutex.rejectWaiting(time, error),
      );
      // An aborted call has rejected already, so nothing of it may be committed.
      this.#checkTurn(signal);
      overlay.commit();
      return result;
    } finally {
      tx.#state = "ended";
      if (this.#state === "in savepoint") this.#state = "open";
    }
  }

  #checkUsable(signal: AbortSignal | undefined): void {
    this.#checkTurn(signal);
    if (this.#state !== "open") {
      throw new UnsupportedError({
        feature: "transaction",
        reason: "a nested transaction is open: use it, or wait for its end",
      });
    }
    refuseInsideTransaction(this);
  }

  /** Passes if a call that has waited may still take effect. */
  #checkTurn(signal?: AbortSignal): void {
    this.#checkOpen();
    signal?.throwIfAborted();
    if (this.#state === "ended") {
      throw new UnsupportedError({ feature: "transaction", reason: "the transaction has ended" });
    }
  }
}

export interface MemoryStoreOptions {
  readonly clock?: Clock | undefined;
}

const optionsSchema = z.strictObject({
  clock: z.optional(functionSchema<Clock>()),
});

/**
 * A `WorkflowStore` in the memory of this process. It returns the same rows and errors as `LibSQLStore`, and loses its
 * content when the process ends.
 */
export class MemoryStore extends MemoryOperations {
  readonly #gate: { open: boolean };

  constructor(options: MemoryStoreOptions = {}) {
    const { clock } = parseArgument(optionsSchema, options, "options");
    const gate = { open: true };
    super(new BaseTables(), clock ?? systemClock, () => {
      if (!gate.open) throw new StoreClosedError();
    });
    this.#gate = gate;
  }

  override async close(): Promise<void> {
    this.#gate.open = false;
  }
}
