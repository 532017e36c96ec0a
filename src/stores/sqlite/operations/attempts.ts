import { parseId } from "../../../model/arguments.ts";
import { compareAttempts } from "../../../model/bundles.ts";
import { completeNewAttempt } from "../../../model/new-rows.ts";
import { parseFenceOptions, parseOptions } from "../../../model/options.ts";
import type { NewStepAttempt } from "../../../schema/rows.ts";
import type { AttemptStore } from "../../../store/attempts.ts";
import { readChildren } from "../statements/children.ts";
import { planFencedSave } from "./fenced-save.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { carryOut, type PlannedWrite, type StoreContext } from "./context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createAttemptPlans(context: StoreContext) {
  const { codecs, statements } = context;
  return {
    saveStepAttempt(newAttempt: Readonly<NewStepAttempt>, options?: unknown): PlannedWrite<void> {
      const attempt = completeNewAttempt(newAttempt);
      const { runId } = attempt;
      const { fence } = parseFenceOptions(options);
      return planFencedSave(context, {
        write: statements.attempts
          .save({ fenced: fence !== null })
          .bind({ ...codecs.attempt.encode(attempt), ...fenceArguments(fence) }),
        runId,
        fence,
        codec: codecs.attempt,
      });
    },
  };
}

export function createAttemptOperations(context: StoreContext): AttemptStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createAttemptPlans(context);

  return {
    async saveStepAttempt(attempt, options) {
      const plan = plans.saveStepAttempt(attempt, options);
      return perform(options?.signal, () => carryOut(connection, plan, options?.signal));
    },

    async listStepAttempts(run, options) {
      const runId = parseId(run, "runId");
      const { signal } = parseOptions(options);
      return perform(signal, async () => {
        const rows = await readChildren(connection, statements.children.attempts, runId);
        return rows
          .map((row) => codecs.attempt.decodeCells(codecs.attempt.properties, row))
          .toSorted(compareAttempts);
      });
    },
  };
}
