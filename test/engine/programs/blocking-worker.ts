// Works on a database; the first step that it runs blocks the event loop, heartbeats and all, until the file is there.
// Arguments: URL, id of the worker, lease in ms, path of the file.
import { existsSync } from "node:fs";
import { z } from "zod";
import {
  defineStep,
  defineWorkflow,
  Engine,
  GorkflowError,
  LibSQLStore,
} from "../../../src/index.ts";

const [url = "", workerId = "", leaseMs, path = ""] = process.argv.slice(2);
const clock = new Int32Array(new SharedArrayBuffer(4));

const sign = defineStep({
  id: "sign",
  input: z.null(),
  output: z.string(),
  run: async (_, ctx) => {
    process.send?.({ began: ctx.runId });
    while (!existsSync(path)) Atomics.wait(clock, 0, 0, 10);
    try {
      await ctx.state.set("signature", workerId);
    } catch (error) {
      process.send?.({ refused: error instanceof GorkflowError ? error.code : String(error) });
      throw error;
    }
    return workerId;
  },
});

const engine = new Engine(await LibSQLStore.open(url), { workerId, leaseMs: Number(leaseMs) });
engine.register(defineWorkflow({ id: "w" }).step(sign).build());
await engine.work();
