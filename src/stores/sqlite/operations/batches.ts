import { RunNotFoundError } from "../../../errors.ts";
import { collectWrites } from "../../../model/batch-collection.ts";
import { parseBatchOptions } from "../../../model/options.ts";
import { checkFence, type Fence } from "../../../model/transitions.ts";
import type { BatchStore, BatchWriter } from "../../../store/batches.ts";
import { createAttemptPlans } from "./attempts.ts";
import { isGuardFailure } from "../errors/symptoms.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { createOutputPlans } from "./outputs.ts";
import { runGuardProperties } from "../statements/runs.ts";
import { createRunPlans } from "./runs.ts";
import { createStatePlans } from "./state.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { createStepPlans } from "./steps.ts";
import { readRows, type PlannedWrite, type StoreContext } from "./context.ts";

type RunFence = Fence & { readonly runId: string };

export function createBatchOperations(context: StoreContext): BatchStore {
  const { connection, codecs, statements, perform } = context;
  const plans = {
    ...createRunPlans(context),
    ...createStepPlans(context),
    ...createAttemptPlans(context),
    ...createOutputPlans(context),
    ...createStatePlans(context),
  };

  /** All in one group of statements; a guard behind each write undoes them when it did not take place. */
  function guardedGroup(
    planned: readonly PlannedWrite<unknown>[],
    fence: RunFence | undefined,
  ): BoundStatement[] {
    const group =
      fence === undefined
        ? []
        : [statements.guards.fenced.bind({ runId: fence.runId, ...fenceArguments(fence) })];
    for (const plan of planned) {
      if (plan.before !== undefined) group.push(plan.before);
      group.push(plan.write, plan.guard());
    }
    return group;
  }

  /** One after the other, in a transaction: the first that fails names the cause. */
  function writeOneByOne(
    planned: readonly PlannedWrite<unknown>[],
    fence: RunFence | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return connection.transaction(
      async (tx) => {
        if (fence !== undefined) {
          const [row] = await readRows(tx, statements.runs.getGuard.bind({ runId: fence.runId }));
          if (row === undefined) throw new RunNotFoundError({ runId: fence.runId });
          checkFence(codecs.run.decodeCells(runGuardProperties, row), fence);
        }
        for (const plan of planned) {
          // Each sees what those before it wrote.
          if (plan.before !== undefined) await tx.write([plan.before]);
          const [written] = await tx.write([plan.write]);
          // Nobody asks what a write in a batch came to: in an app's transaction each question is a round trip.
          if ((written?.changes ?? 0) > 0) continue;
          plan.conclude(0, await tx.read(plan.inquire()));
        }
        signal?.throwIfAborted();
      },
      { signal },
    );
  }

  return {
    async batch(collect, options) {
      const { fence, signal } = parseBatchOptions(options);
      const planned = collectWrites<PlannedWrite<unknown>, BatchWriter>(collect, plans);
      return perform(signal, async () => {
        if (planned.length === 0 && fence === undefined) return;
        if (connection.writeGuarded !== undefined) {
          try {
            await connection.writeGuarded(guardedGroup(planned, fence), { signal });
            return;
          } catch (error) {
            if (!isGuardFailure(error)) throw error;
          }
        }
        await writeOneByOne(planned, fence, signal);
      });
    },
  };
}
