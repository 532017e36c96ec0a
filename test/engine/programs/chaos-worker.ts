// Works on a database until it is killed. Arguments: URL, worker id, lease, concurrency, and the mean duration of a step
// in ms.
import { Engine } from "../../../src/engine/engine.ts";
import { StoreConnectionError } from "../../../src/errors.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { makeWorkflow } from "../chaos/workflow.ts";

const [url = "", workerId = "", leaseMs, concurrency, stepMs] = process.argv.slice(2);

/** The server may be down, because it is killed too. */
async function open(): Promise<LibSQLStore> {
  for (;;) {
    try {
      const durability = url.startsWith("file:") ? "normal" : undefined;
      return await LibSQLStore.open({ url, durability, migrate: false });
    } catch (error) {
      if (!(error instanceof StoreConnectionError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const engine = new Engine(await open(), {
  workerId,
  leaseMs: Number(leaseMs),
  concurrency: Number(concurrency),
});
engine.register(makeWorkflow({ workerId, stepMs: Number(stepMs) }));
process.send?.({ ready: true });
await engine.work();
