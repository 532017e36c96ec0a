import { StepOutputNotFoundError } from "../../errors.ts";
import { parseId } from "../../model/arguments.ts";
import { parseFenceOptions, parseOptions } from "../../model/options.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { OutputStore } from "../../store/outputs.ts";
import { requireHeldRun } from "./runs.ts";
import type { PlannedWrite, StoreContext } from "./store-context.ts";

const codec = rowCodecs.output;

/** The writes of this capability, for the operations and for batches. */
export function createOutputPlans({ clock }: Pick<StoreContext, "clock">) {
  return {
    saveStepOutput(
      run: string,
      step: string,
      output: unknown,
      options?: unknown,
    ): PlannedWrite<void> {
      const runId = parseId(run, "runId");
      const stepId = parseId(step, "stepId");
      const { fence } = parseFenceOptions(options);
      const now = clock();
      const row = codec.encode({ runId, stepId, output, createdAt: now, updatedAt: now });
      return (tables) => {
        requireHeldRun(tables, runId, fence);
        const createdAt = tables.getChild("outputs", runId, stepId)?.createdAt ?? row.createdAt;
        tables.putChild("outputs", runId, stepId, { ...row, createdAt });
      };
    },
  };
}

export function createOutputOperations(context: StoreContext): OutputStore {
  const { read, write } = context;
  const plans = createOutputPlans(context);

  async function findStepOutput(run: string, step: string, options?: OperationOptions) {
    const runId = parseId(run, "runId");
    const stepId = parseId(step, "stepId");
    const { signal } = parseOptions(options);
    return read(signal, (tables) => {
      const row = tables.getChild("outputs", runId, stepId);
      return row === undefined ? null : codec.decode(row);
    });
  }

  return {
    async saveStepOutput(runId, stepId, output, options) {
      const plan = plans.saveStepOutput(runId, stepId, output, options);
      return write(options?.signal, plan);
    },

    async loadStepOutput(runId, stepId, options) {
      const found = await findStepOutput(runId, stepId, options);
      if (found === null) throw new StepOutputNotFoundError({ runId, stepId });
      return found.output;
    },

    findStepOutput,
  };
}
