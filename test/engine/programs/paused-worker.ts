// Works on a database; tells when its step begins, and when it ends two seconds later. Arguments: URL, id of the worker,
// lease in ms.
import { z } from "zod";
import {
  defineStep,
  defineWorkflow,
  Engine,
  GorkflowError,
  LibSQLStore,
} from "../../../src/index.ts";

const [url = "", workerId = "", leaseMs] = process.argv.slice(2);

const slow = defineStep({
  id: "slow",
  input: z.null(),
  output: z.string(),
  run: async (_, ctx) => {
    process.send?.({ began: ctx.runId });
    // Many short waits: a single one would end while the process stands still.
    for (let n = 0; n < 40; n++) await new Promise((resolve) => setTimeout(resolve, 50));
    try {
      await ctx.state.set("signature", workerId);
      process.send?.({ ended: "well" });
    } catch (error) {
      process.send?.({ ended: error instanceof GorkflowError ? error.code : String(error) });
      throw error;
    }
    return workerId;
  },
});

const engine = new Engine(await LibSQLStore.open(url), { workerId, leaseMs: Number(leaseMs) });
engine.register(defineWorkflow({ id: "w" }).step(slow).build());
await engine.work();
