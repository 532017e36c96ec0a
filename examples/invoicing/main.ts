// npm run migrate && npm start
//
// Writes an invoice with its lines and the run that collects it in one batch, and reads all of it with a relational query.
import { Engine, LibSQLStore } from "gorkflow";
import { db } from "./database.ts";
import { addresses, customers, invoiceLines, invoices, products } from "./schema.ts";
import { collectInvoice } from "./workflow.ts";

const store = new LibSQLStore(db);
const engine = new Engine(store);
engine.register(collectInvoice);

const [customerId, invoiceId, runId] = [
  crypto.randomUUID(),
  crypto.randomUUID(),
  crypto.randomUUID(),
];
const input = { invoiceId, cents: 4200 };
await db.batch([
  db
    .insert(customers)
    .values({ customerId, fullName: "Ada", emailAddress: `${customerId}@example.com` }),
  db.insert(addresses).values({ addressId: customerId, customerId, countryCode: "GB" }),
  db
    .insert(products)
    .values({ productId: "lamp", displayName: "A lamp", unitPrice: 2100 })
    .onConflictDoNothing(),
  store.statements.createRun({ runId, workflowId: "collect-invoice", input }),
  db.insert(invoices).values({ ...input, runId, customerId }),
  db.insert(invoiceLines).values({ invoiceId, lineNumber: 1, productId: "lamp", quantity: 2 }),
]);
await engine.wait(runId);

const collected = await db.query.invoices.findFirst({
  where: (invoice, { eq }) => eq(invoice.invoiceId, invoiceId),
  with: {
    customer: { with: { addresses: { columns: { countryCode: true } } } },
    lines: { with: { product: { columns: { displayName: true } } } },
    payments: { with: { entries: { columns: { accountName: true, amount: true } } } },
    reminders: { columns: { sentTo: true } },
    run: { with: { steps: { columns: { stepId: true, status: true } }, outputs: true } },
  },
});
const { run, customer, lines, payments } = collected ?? {};
console.log(
  JSON.stringify({
    status: run?.status,
    steps: run?.steps,
    receipt: run?.outputs.find(({ stepId }) => stepId === "charge")?.output,
    country: customer?.addresses[0]?.countryCode,
    bought: lines?.map(({ quantity, product }) => `${quantity} × ${product.displayName}`),
    entries: payments?.flatMap(({ entries }) => entries),
  }),
);

await engine.close();
db.$client.close();
