// Starts and executes many runs on a file, and prints the largest heap size after garbage collections. Arguments: URL,
// number of runs. Its heap limit ends the process if it needs more.
import { z } from "zod";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";

const [url = "", count = "0"] = process.argv.slice(2);
const runCount = Number(count);
/** The payload of a run's steps. */
const payload = "x".repeat(4096);

const schema = z.object({ n: z.number(), payload: z.string() });
const step = <const Id extends string>(id: Id) =>
  defineStep({ id, input: schema, output: schema, run: (value) => ({ ...value, n: value.n + 1 }) });
const workflow = defineWorkflow({ id: "many" })
  .step(step("first"))
  .step(step("second"))
  .step(step("third"))
  .build();

const store = await LibSQLStore.open({ url, durability: "normal" });
const engine = new Engine(store, { concurrency: 50 });
engine.on("run.finished", () => undefined);

for (let from = 0; from < runCount; from += 500) {
  const starts = Array.from({ length: Math.min(500, runCount - from) }, (_, index) =>
    engine.start(workflow, { n: from + index, payload }),
  );
  await Promise.all(starts);
}
engine.register(workflow);
const ended = await engine.recover();
const counts = await store.countRuns();
await engine.close();
await store.close();
globalThis.gc?.();
process.send?.({ ended, counts, heapBytes: process.memoryUsage().heapUsed });
process.disconnect?.();
