import { parseId } from "../../model/arguments.ts";
import { attemptKey, compareAttempts } from "../../model/bundles.ts";
import { completeNewAttempt } from "../../model/new-rows.ts";
import { parseFenceOptions, parseOptions } from "../../model/options.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { NewStepAttempt, StepAttempt } from "../../schema/rows.ts";
import type { AttemptStore } from "../../store/attempts.ts";
import { requireHeldRun } from "./runs.ts";
import type { PlannedWrite, StoreContext } from "./store-context.ts";
import type { Tables } from "./tables.ts";

const codec = rowCodecs.attempt;

/** The writes of this capability, for the operations and for batches. */
export function createAttemptPlans() {
  return {
    saveStepAttempt(newAttempt: Readonly<NewStepAttempt>, options?: unknown): PlannedWrite<void> {
      const attempt = completeNewAttempt(newAttempt);
      const { fence } = parseFenceOptions(options);
      const row = codec.encode(attempt);
      return (tables) => {
        requireHeldRun(tables, attempt.runId, fence);
        tables.putChild("attempts", attempt.runId, attemptKey(attempt), row);
      };
    },
  };
}

/** The run's attempts in their order. */
export function attemptsOf(tables: Tables, runId: string): StepAttempt[] {
  return Array.from(tables.children("attempts", runId), ([, row]) => codec.decode(row)).toSorted(
    compareAttempts,
  );
}

export function createAttemptOperations({ read, write }: StoreContext): AttemptStore {
  const plans = createAttemptPlans();

  return {
    async saveStepAttempt(attempt, options) {
      const plan = plans.saveStepAttempt(attempt, options);
      return write(options?.signal, plan);
    },

    async listStepAttempts(run, options) {
      const runId = parseId(run, "runId");
      const { signal } = parseOptions(options);
      return read(signal, (tables) => attemptsOf(tables, runId));
    },
  };
}
