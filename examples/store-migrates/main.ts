// npm run migrate && npm start
//
// Places an order and starts its workflow in one transaction, runs it, and queries both.
import { desc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { Engine, LibSQLStore } from "gorkflow";
import { workflowRuns } from "gorkflow/schema";
import { orders } from "./schema.ts";
import { fulfilOrder } from "./workflow.ts";

// The store migrates its own tables; `drizzle-kit migrate` creates the app's.
const store = await LibSQLStore.open(process.env["DATABASE_URL"] ?? "file:./shop.db");
const db = drizzle({ client: store.db.$client, schema: { orders } });
const engine = new Engine(store);
engine.register(fulfilOrder);

const order = { orderId: crypto.randomUUID(), item: "lamp", quantity: 2 };
const runId = await db.transaction(async (tx) => {
  const started = await engine.start(fulfilOrder, order, { tx });
  await tx.insert(orders).values({ ...order, runId: started });
  return started;
});
await engine.wait(runId);

const report = await db
  .select({ item: orders.item, status: workflowRuns.status, shipped: workflowRuns.output })
  .from(orders)
  .innerJoin(workflowRuns, eq(workflowRuns.runId, orders.runId))
  .orderBy(desc(workflowRuns.createdAt));
console.log(JSON.stringify(report));

await engine.close();
await store.close();
