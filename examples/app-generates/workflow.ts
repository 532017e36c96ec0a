import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";

const invoice = z.object({ invoiceId: z.string(), cents: z.int().positive() });

const charge = defineStep({
  id: "charge",
  input: invoice,
  output: z.object({ receipt: z.string() }),
  run: ({ invoiceId, cents }) => ({ receipt: `${invoiceId}/${cents}` }),
});

export const collectInvoice = defineWorkflow({ id: "collect-invoice" }).step(charge).build();
