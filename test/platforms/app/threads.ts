// Four threads run workflows on one file.
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "gorkflow";
import { z } from "zod";

const step = defineStep({ id: "s", input: z.number(), output: z.number(), run: (n) => n * 2 });
const workflow = defineWorkflow({ id: "w" }).step(step).build();

if (isMainThread) {
  const url = `file:${process.argv[2] ?? "."}/threads.db`;
  const threads = [1, 2, 3, 4].map((n) => {
    return new Worker(new URL(import.meta.url), { workerData: { url, n } });
  });
  const outputs = await Promise.all(threads.map((thread) => once(thread, "message")));
  const store = await LibSQLStore.open(url);
  const { COMPLETED: completed } = await store.countRuns();
  await store.close();
  console.log(JSON.stringify({ outputs: outputs.flat(2), completed }));
} else {
  const { url, n } = workerData as { readonly url: string; readonly n: number };
  const store = await LibSQLStore.open(url);
  const engine = new Engine(store);
  const outputs: unknown[] = [];
  for (let run = 0; run < 5; run++) outputs.push((await engine.run(workflow, n)).output);
  await engine.close();
  await store.close();
  // The rule is for windows.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(outputs);
}
