import { StateNotFoundError } from "../../errors.ts";
import { parseId } from "../../model/arguments.ts";
import { compareText } from "../../model/cursors.ts";
import { parseFenceOptions, parseOptions, parseRevisionOptions } from "../../model/options.ts";
import { checkStateRevision } from "../../model/transitions.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { StateEntry, StateStore } from "../../store/state.ts";
import { requireHeldRun } from "./runs.ts";
import type { PlannedWrite, StoreContext } from "./store-context.ts";

const codec = rowCodecs.state;

/** The writes of this capability, for the operations and for batches. */
export function createStatePlans({ clock }: Pick<StoreContext, "clock">) {
  return {
    saveState(
      run: string,
      stateKey: string,
      value: unknown,
      options?: unknown,
    ): PlannedWrite<{ revision: number }> {
      const runId = parseId(run, "runId");
      const key = parseId(stateKey, "key");
      const { expectedRevision, fence } = parseRevisionOptions(options);
      const row = codec.encode({ runId, key, value, revision: 1, updatedAt: clock() });
      return (tables) => {
        const owner = requireHeldRun(tables, runId, fence);
        const current = Number(tables.getChild("state", runId, key)?.revision ?? 0);
        checkStateRevision({ runId, key }, current, expectedRevision);
        // A key that was deleted does not start again at a revision that it has had.
        const revision = (current === 0 ? Number(owner.stateRevision) : current) + 1;
        tables.putChild("state", runId, key, { ...row, revision });
        return { revision };
      };
    },

    deleteState(run: string, stateKey: string, options?: unknown): PlannedWrite<void> {
      const runId = parseId(run, "runId");
      const key = parseId(stateKey, "key");
      const { fence } = parseFenceOptions(options);
      return (tables) => {
        if (fence !== null) requireHeldRun(tables, runId, fence);
        const owner = tables.getRun(runId);
        const row = tables.getChild("state", runId, key);
        if (owner === undefined || row === undefined) return;
        const stateRevision = Math.max(Number(owner.stateRevision), Number(row.revision));
        tables.putRun({ ...owner, stateRevision });
        tables.deleteChild("state", runId, key);
      };
    },
  };
}

export function createStateOperations(context: StoreContext): StateStore {
  const { read, write } = context;
  const plans = createStatePlans(context);

  async function findState(
    run: string,
    stateKey: string,
    options?: OperationOptions,
  ): Promise<StateEntry | null> {
    const runId = parseId(run, "runId");
    const key = parseId(stateKey, "key");
    const { signal } = parseOptions(options);
    return read(signal, (tables) => {
      const row = tables.getChild("state", runId, key);
      if (row === undefined) return null;
      const { value, revision, updatedAt } = codec.decode(row);
      return { value, revision, updatedAt };
    });
  }

  async function load(runId: string, key: string, options?: OperationOptions): Promise<StateEntry> {
    const entry = await findState(runId, key, options);
    if (entry === null) throw new StateNotFoundError({ runId, key });
    return entry;
  }

  return {
    findState,

    async saveState(runId, key, value, options) {
      const plan = plans.saveState(runId, key, value, options);
      return write(options?.signal, plan);
    },

    async loadState(runId, key, options) {
      return (await load(runId, key, options)).value;
    },

    loadStateEntry: load,

    async deleteState(runId, key, options) {
      const plan = plans.deleteState(runId, key, options);
      return write(options?.signal, plan);
    },

    async getAllState(run, options) {
      const runId = parseId(run, "runId");
      const { signal } = parseOptions(options);
      return read(signal, (tables) =>
        Object.fromEntries(
          [...tables.children("state", runId)]
            .toSorted(([a], [b]) => compareText(a, b))
            .map(([key, row]) => [key, codec.decode(row).value]),
        ),
      );
    },
  };
}
