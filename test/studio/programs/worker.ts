import * as z from "zod";
import { Engine, LibSQLStore, defineStep, defineWorkflow } from "../../../src/index.ts";

/** Runs the workflow `parade` until it is killed. A step ends when the parent sends its id. */
const [url = ""] = process.argv.slice(2);

const waiting = new Map<string, () => void>();
process.on("message", (stepId: string) => waiting.get(stepId)?.());

const gated = (id: string) =>
  defineStep({
    id,
    input: z.unknown(),
    output: z.object({ done: z.boolean() }),
    run: async () => {
      await new Promise<void>((resolve) => {
        waiting.set(id, resolve);
        process.send?.({ began: id });
      });
      return { done: true };
    },
  });

const parade = defineWorkflow({ id: "parade", version: "1" })
  .step(gated("first"))
  .step(gated("second"))
  .build();

const store = await LibSQLStore.open(url);
const engine = new Engine(store, { leaseMs: 2000, workerId: "the-worker" });
engine.register(parade);
const runId = await engine.start(parade, null);
process.send?.({ runId });
await engine.work();
