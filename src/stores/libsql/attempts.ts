import { RunNotFoundError } from "../../errors.ts";
import { parseId } from "../../model/arguments.ts";
import { compareAttempts } from "../../model/bundles.ts";
import { completeNewAttempt } from "../../model/new-rows.ts";
import { parseFenceOptions, parseOptions } from "../../model/options.ts";
import { checkFence } from "../../model/transitions.ts";
import type { NewStepAttempt } from "../../schema/rows.ts";
import type { AttemptStore } from "../../store/attempts.ts";
import { readChildren } from "./child-statements.ts";
import { runGuardProperties } from "./run-statements.ts";
import { carryOut, firstRow, type PlannedWrite, type StoreContext } from "./store-context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createAttemptPlans({ codecs, statements }: StoreContext) {
  return {
    saveStepAttempt(newAttempt: Readonly<NewStepAttempt>, options?: unknown): PlannedWrite<void> {
      const attempt = completeNewAttempt(newAttempt);
      const { runId } = attempt;
      const { workerId } = parseFenceOptions(options);
      return {
        write: statements.attempts
          .save({ fenced: workerId !== undefined })
          .bind({ ...codecs.attempt.encode(attempt), whereWorkerId: workerId ?? null }),
        inquiry: [statements.runs.getGuard.bind({ runId })],
        guard: statements.guards.changed.bind({}),
        conclude(changes, [found]) {
          if (changes > 0) return;
          const row = firstRow(found);
          if (row === null) throw new RunNotFoundError({ runId });
          checkFence(codecs.run.decodeCells(runGuardProperties, row), workerId);
        },
      };
    },
  };
}

export function createAttemptOperations(context: StoreContext): AttemptStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createAttemptPlans(context);

  return {
    async saveStepAttempt(attempt, options) {
      const plan = plans.saveStepAttempt(attempt, options);
      return perform(options?.signal, () => carryOut(connection, plan));
    },

    async listStepAttempts(run, options) {
      const runId = parseId(run, "runId");
      const { signal } = parseOptions(options);
      return perform(signal, async () => {
        const [rows = []] = await readChildren(
          connection,
          [statements.bundles.children.attempts],
          [runId],
        );
        return rows
          .map((row) => codecs.attempt.decodeCells(codecs.attempt.properties, row))
          .toSorted(compareAttempts);
      });
    },
  };
}
