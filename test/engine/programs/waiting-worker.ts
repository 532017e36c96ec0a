// Works on waiting runs and reports when their steps continue. Arguments: URL, worker id, lease in ms, and by how many ms
// its clock is ahead, so that a test need not wait.
import { z } from "zod";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../../src/index.ts";

const [url = "", workerId = "", leaseMs, aheadMs] = process.argv.slice(2);
const clock = () => new Date(Date.now() + Number(aheadMs));
const tell = (runId: string, what: string): void =>
  void process.send?.({ runId, what, at: clock() });

const sleeper = defineStep({
  id: "sleeper",
  input: z.number(),
  output: z.number(),
  run: async (sleepMs, ctx) => {
    tell(ctx.runId, "began");
    await ctx.sleep(sleepMs);
    tell(ctx.runId, "went on");
    return sleepMs;
  },
});

const failing = defineStep({
  id: "failing",
  input: z.number(),
  output: z.number(),
  retry: { maxRetries: 1, delayMs: 3_600_000 },
  run: (value, ctx) => {
    tell(ctx.runId, ctx.attempt === 1 ? "failed" : "went on");
    if (ctx.attempt === 1) throw new Error("not yet");
    return value;
  },
});

const late = defineStep({
  id: "late",
  input: z.number(),
  output: z.number(),
  run: (value, ctx) => {
    tell(ctx.runId, "went on");
    return value;
  },
});

const store = await LibSQLStore.open({ url, clock });
const engine = new Engine(store, { workerId, leaseMs: Number(leaseMs), clock });
for (const step of [sleeper, failing, late]) {
  engine.register(defineWorkflow({ id: step.id }).step(step).build());
}
await engine.work();
