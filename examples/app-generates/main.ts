// npm run migrate && npm start
//
// Writes an invoice and the run that collects it in one batch, and reads both with a relational query.
import { drizzle } from "drizzle-orm/libsql";
import { createClient } from "@libsql/client";
import { Engine, LibSQLStore } from "gorkflow";
import { createClient as createLocalClient } from "gorkflow/client";
import * as schema from "./schema.ts";
import { collectInvoice } from "./workflow.ts";

const url = process.env["DATABASE_URL"] ?? "file:./invoices.db";
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
const db = drizzle({ client, schema });
const store = new LibSQLStore(db);
const engine = new Engine(store);
engine.register(collectInvoice);

const [invoiceId, runId] = [crypto.randomUUID(), crypto.randomUUID()];
const input = { invoiceId, cents: 4200 };
await db.batch([
  store.statements.createRun({ runId, workflowId: "collect-invoice", input }),
  db.insert(schema.invoices).values({ ...input, runId }),
]);
await engine.wait(runId);

const collected = await db.query.invoices.findFirst({
  where: (invoices, { eq }) => eq(invoices.invoiceId, invoiceId),
  with: { run: { with: { steps: { columns: { stepId: true, status: true } }, outputs: true } } },
});
const { run } = collected ?? {};
console.log(
  JSON.stringify({ status: run?.status, steps: run?.steps, receipt: run?.outputs[0]?.output }),
);

await engine.close();
client.close();
