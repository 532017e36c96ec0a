// Works on a database. Its step sends a message when it begins, waits, writes its signature, and sends a message.
// With a path it blocks the event loop until that file exists; without one it waits for two seconds.
// Arguments: URL, worker id, lease in ms, path (optional).
import { existsSync } from "node:fs";
import { z } from "zod";
import {
  defineStep,
  defineWorkflow,
  Engine,
  GorkflowError,
  LibSQLStore,
} from "../../../src/index.ts";

const [url = "", workerId = "", leaseMs, path] = process.argv.slice(2);
const clock = new Int32Array(new SharedArrayBuffer(4));

const sign = defineStep({
  id: "sign",
  input: z.null(),
  output: z.string(),
  run: async (_, ctx) => {
    process.send?.({ began: ctx.runId });
    if (path !== undefined) while (!existsSync(path)) Atomics.wait(clock, 0, 0, 10);
    // Many short waits: a single one would end while the process is stopped.
    else for (let n = 0; n < 40; n++) await new Promise((resolve) => setTimeout(resolve, 50));
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
engine.register(defineWorkflow({ id: "w" }).step(sign).build());
await engine.work();
