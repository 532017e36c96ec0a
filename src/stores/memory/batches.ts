import { collectWrites } from "../../model/batch-collection.ts";
import { parseBatchOptions } from "../../model/options.ts";
import type { BatchStore, BatchWriter } from "../../store/batches.ts";
import { createAttemptPlans } from "./attempts.ts";
import { createOutputPlans } from "./outputs.ts";
import { Overlay } from "./overlay.ts";
import { createRunPlans, requireHeldRun } from "./runs.ts";
import { createStatePlans } from "./state.ts";
import { createStepPlans } from "./steps.ts";
import type { PlannedWrite, StoreContext } from "./store-context.ts";

export function createBatchOperations(context: StoreContext): BatchStore {
  const plans = {
    ...createRunPlans(context),
    ...createStepPlans(context),
    ...createAttemptPlans(),
    ...createOutputPlans(context),
    ...createStatePlans(context),
  };

  return {
    async batch(collect, options) {
      const { fence, signal } = parseBatchOptions(options);
      const planned = collectWrites<PlannedWrite<unknown>, BatchWriter>(collect, plans);
      await context.write(signal, (tables) => {
        const overlay = new Overlay(tables);
        if (fence !== undefined) {
          requireHeldRun(overlay, fence.runId, fence);
        }
        for (const write of planned) write(overlay);
        overlay.commit();
      });
    },
  };
}
