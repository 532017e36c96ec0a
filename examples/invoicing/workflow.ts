import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";
import { db } from "./database.ts";
import { ledgerEntries, payments, reminders } from "./schema.ts";

const invoice = z.object({ invoiceId: z.string(), cents: z.int().positive() });

const remind = defineStep({
  id: "remind",
  input: invoice,
  output: invoice,
  run: (due, ctx) =>
    // `tx` has the app's schema, so relational queries work in it.
    ctx.transaction(db, async (tx) => {
      const found = await tx.query.invoices.findFirst({
        where: (invoices, { eq }) => eq(invoices.invoiceId, due.invoiceId),
        with: { customer: true },
      });
      const sentTo = found?.customer?.emailAddress;
      if (sentTo === undefined) throw new Error(`invoice ${due.invoiceId} has no customer`);
      await tx.insert(reminders).values({ invoiceId: due.invoiceId, sentTo });
      return due;
    }),
});

const charge = defineStep({
  id: "charge",
  input: invoice,
  output: z.object({ receipt: z.string() }),
  run: ({ invoiceId, cents }, ctx) =>
    // The payment, both entries and the completion of the step are one commit.
    ctx.transaction(db, async (tx) => {
      const paymentId = `${ctx.runId}/charge`;
      await tx.insert(payments).values({ paymentId, invoiceId, amount: cents });
      await tx.insert(ledgerEntries).values([
        { paymentId, accountName: "bank", amount: cents },
        { paymentId, accountName: "receivables", amount: -cents },
      ]);
      return { receipt: `${invoiceId}/${cents}` };
    }),
});

export const collectInvoice = defineWorkflow({ id: "collect-invoice" })
  .step(remind)
  .step(charge)
  .build();
