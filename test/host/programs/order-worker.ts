// Places orders and carries them out, until it is killed; every step leaves an effect in the app's own table.
// Arguments: url, how many orders to have under way.
import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { createClient as createLocalClient } from "../../../src/client/create-client.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { effectWorkflow } from "../support/effect-workflow.ts";
import { orders } from "../support/host-databases.ts";

const [url = "", lanes = "4"] = process.argv.slice(2);
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
const db = drizzle({ client });
const engine = new Engine(new LibSQLStore(db), { leaseMs: 400, concurrency: Number(lanes) });
engine.register(effectWorkflow);
void engine.work();

async function placeOrders(): Promise<void> {
  for (;;) {
    const orderId = crypto.randomUUID();
    const runId = await db.transaction(async (tx) => {
      const started = await engine.start(effectWorkflow, orderId, { tx });
      await tx.insert(orders).values({ orderId, runId: started });
      return started;
    });
    process.send?.({ placed: orderId });
    await engine.wait(runId);
  }
}

await Promise.all(Array.from({ length: Number(lanes) }, placeOrders));
