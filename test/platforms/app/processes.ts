// Four processes open the same new file at the same moment, twenty times.
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { LibSQLStore } from "gorkflow";

if (cluster.isPrimary) {
  const workers = Array.from({ length: 4 }, () => cluster.fork());
  const answerOf = async (worker: Worker) => ((await once(worker, "message")) as [string])[0];
  await Promise.all(workers.map(answerOf));
  const failures: string[] = [];
  let runs = 0;
  for (let round = 0; round < 20; round++) {
    const url = `file:${process.argv[2] ?? "."}/processes-${round}.db`;
    const answers = workers.map(answerOf);
    for (const worker of workers) worker.send(url);
    failures.push(...(await Promise.all(answers)).filter((answer) => answer !== "opened"));
    const store = await LibSQLStore.open(url);
    runs += (await store.countRuns()).PENDING;
    await store.close();
  }
  for (const worker of workers) worker.disconnect();
  console.log(JSON.stringify({ failures, runs }));
} else {
  process.on("message", (url: string) => void open(url));
  process.send?.("ready");
}

async function open(url: string): Promise<void> {
  try {
    const store = await LibSQLStore.open(url);
    await store.createRun({ workflowId: "w" });
    await store.close();
    process.send?.("opened");
  } catch (error) {
    process.send?.(String(error));
  }
}
