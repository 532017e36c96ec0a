import { RunNotFoundError, StateNotFoundError } from "../../../errors.ts";
import { parseId } from "../../../model/arguments.ts";
import { parseFenceOptions, parseOptions, parseRevisionOptions } from "../../../model/options.ts";
import { checkFence, checkStateRevision } from "../../../model/transitions.ts";
import type { OperationOptions } from "../../../store/options.ts";
import type { StateStore } from "../../../store/state.ts";
import { readChildren } from "../statements/children.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { runGuardProperties } from "../statements/runs.ts";
import {
  carryOut,
  firstRow,
  leftOut,
  readRows,
  type PlannedWrite,
  type StoreContext,
} from "./context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createStatePlans({ codecs, statements, clock }: StoreContext) {
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
      const demand =
        expectedRevision === undefined ? "any" : expectedRevision === 0 ? "absent" : "revision";
      return {
        write: statements.state.save({ demand, fenced: fence !== null }).bind({
          ...codecs.state.encode({ runId, key, value, revision: 1, updatedAt: clock() }),
          ...fenceArguments(fence),
          whereRevision: expectedRevision ?? null,
        }),
        inquire: () => [statements.state.getGuard.bind({ runId, key })],
        guard: () => statements.guards.changed.bind({}),
        conclude(changes, [found]) {
          const row = firstRow(found);
          if (row === null) throw new RunNotFoundError({ runId });
          const [revision, ...guarded] = row;
          const actual = typeof revision === "number" ? revision : 0;
          if (changes === 0) {
            if (fence !== null)
              checkFence(codecs.run.decodeCells(runGuardProperties, guarded), fence);
            checkStateRevision({ runId, key }, actual, expectedRevision);
            throw leftOut(codecs.state);
          }
          return { revision: actual };
        },
      };
    },

    deleteState(run: string, stateKey: string, options?: unknown): PlannedWrite<void> {
      const runId = parseId(run, "runId");
      const key = parseId(stateKey, "key");
      const { fence } = parseFenceOptions(options);
      return {
        before: statements.state
          .noteDeletion({ fenced: fence !== null })
          .bind({ runId, key, ...fenceArguments(fence) }),
        write: statements.state
          .delete({ fenced: fence !== null })
          .bind({ runId, key, ...fenceArguments(fence) }),
        inquire: () => [statements.state.getGuard.bind({ runId, key })],
        guard: () =>
          statements.guards
            .stateGone({ fenced: fence !== null })
            .bind({ runId, key, ...fenceArguments(fence) }),
        conclude(changes, [found]) {
          if (changes > 0) return;
          const row = firstRow(found);
          if (row === null) {
            if (fence !== null) throw new RunNotFoundError({ runId });
            return;
          }
          const [revision, ...guarded] = row;
          if (fence !== null)
            checkFence(codecs.run.decodeCells(runGuardProperties, guarded), fence);
          if (revision !== null) throw leftOut(codecs.state);
        },
      };
    },
  };
}

export function createStateOperations(context: StoreContext): StateStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createStatePlans(context);

  async function findState(run: string, stateKey: string, options?: OperationOptions) {
    const runId = parseId(run, "runId");
    const key = parseId(stateKey, "key");
    const { signal } = parseOptions(options);
    return perform(signal, async () => {
      const [row] = await readRows(connection, statements.state.get.bind({ runId, key }));
      if (row === undefined) return null;
      const { value, revision, updatedAt } = codecs.state.decodeCells(codecs.state.properties, row);
      return { value, revision, updatedAt };
    });
  }

  async function load(runId: string, key: string, options?: OperationOptions) {
    const entry = await findState(runId, key, options);
    if (entry === null) throw new StateNotFoundError({ runId, key });
    return entry;
  }

  return {
    findState,

    async saveState(runId, key, value, options) {
      const plan = plans.saveState(runId, key, value, options);
      return perform(options?.signal, () => carryOut(connection, plan, options?.signal));
    },

    async loadState(runId, key, options) {
      return (await load(runId, key, options)).value;
    },

    loadStateEntry: load,

    async deleteState(runId, key, options) {
      const plan = plans.deleteState(runId, key, options);
      return perform(options?.signal, () => carryOut(connection, plan, options?.signal));
    },

    async getAllState(run, options) {
      const runId = parseId(run, "runId");
      const { signal } = parseOptions(options);
      return perform(signal, async () => {
        const rows = await readChildren(connection, statements.children.state, runId);
        const entries = rows.map((row) => codecs.state.decodeCells(codecs.state.properties, row));
        return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
      });
    },
  };
}
