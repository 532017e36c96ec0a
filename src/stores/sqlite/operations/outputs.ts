import { StepOutputNotFoundError } from "../../../errors.ts";
import { parseId } from "../../../model/arguments.ts";
import { parseFenceOptions, parseOptions } from "../../../model/options.ts";
import type { OperationOptions } from "../../../store/options.ts";
import type { OutputStore } from "../../../store/outputs.ts";
import { planFencedSave } from "./fenced-save.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { carryOut, readRows, type PlannedWrite, type StoreContext } from "./context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createOutputPlans(context: StoreContext) {
  const { codecs, statements, clock } = context;
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
      const encoded = codecs.output.encode({
        runId,
        stepId,
        output,
        createdAt: now,
        updatedAt: now,
      });
      return planFencedSave(context, {
        write: statements.outputs
          .save({ fenced: fence !== null })
          .bind({ ...encoded, ...fenceArguments(fence) }),
        runId,
        fence,
        codec: codecs.output,
      });
    },
  };
}

export function createOutputOperations(context: StoreContext): OutputStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createOutputPlans(context);

  async function findStepOutput(run: string, step: string, options?: OperationOptions) {
    const runId = parseId(run, "runId");
    const stepId = parseId(step, "stepId");
    const { signal } = parseOptions(options);
    return perform(signal, async () => {
      const [row] = await readRows(connection, statements.outputs.get.bind({ runId, stepId }));
      return row === undefined ? null : codecs.output.decodeCells(codecs.output.properties, row);
    });
  }

  return {
    async saveStepOutput(runId, stepId, output, options) {
      const plan = plans.saveStepOutput(runId, stepId, output, options);
      return perform(options?.signal, () => carryOut(connection, plan, options?.signal));
    },

    async loadStepOutput(runId, stepId, options) {
      const found = await findStepOutput(runId, stepId, options);
      if (found === null) throw new StepOutputNotFoundError({ runId, stepId });
      return found.output;
    },

    findStepOutput,
  };
}
