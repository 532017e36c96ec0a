import { setTimeout as sleep } from "node:timers/promises";
import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";

const order = z.object({
  orderId: z.string(),
  customer: z.string(),
  country: z.string().length(2),
  payment: z.enum(["card", "invoice", "wallet"]),
  items: z
    .array(
      z.object({
        sku: z.string(),
        quantity: z.int().positive(),
        unitPrice: z.number().positive(),
      }),
    )
    .min(1),
});

const pricedOrder = order.extend({ total: z.number() });
const stock = z.object({ reserved: z.int() });
const fraud = z.object({ score: z.number() });
const checked = z.object({ "reserve-stock": stock, "check-fraud": fraud });
const payment = z.object({ receipt: z.string() });

/** Accepts any JSON object. The first step validates it, so that the error is stored with the run. */
const validate = defineStep({
  id: "validate",
  input: z.record(z.string(), z.unknown()),
  output: pricedOrder,
  run: (input) => {
    const { data: parsed, error } = order.safeParse(input);
    if (error !== undefined) throw new Error(z.prettifyError(error));
    const total = parsed.items.reduce((sum, item) => sum + item.quantity * item.unitPrice, 0);
    return { ...parsed, total: Math.round(total * 100) / 100 };
  },
});

const reserveStock = defineStep({
  id: "reserve-stock",
  input: pricedOrder,
  output: stock,
  run: async ({ items }) => {
    await sleep(2 + items.length);
    return { reserved: items.reduce((sum, item) => sum + item.quantity, 0) };
  },
});

const checkFraud = defineStep({
  id: "check-fraud",
  input: pricedOrder,
  output: fraud,
  run: async ({ total, payment: method }) => {
    await sleep(5);
    return { score: method === "invoice" && total > 1000 ? 0.7 : 0.1 };
  },
});

/** Runs only for suspicious orders. */
const review = defineStep({
  id: "review",
  input: checked,
  output: checked,
  run: async (input) => {
    await sleep(10);
    return input;
  },
});

/** The payment provider for wallets rejects the first two calls. */
const charge = defineStep({
  id: "charge",
  input: checked,
  output: payment,
  retry: { maxRetries: 3, delayMs: 5, backoff: "linear" },
  run: async (_, ctx) => {
    const { orderId, payment: method } = await ctx.output(validate);
    if (method === "wallet" && ctx.attempt <= 2) {
      throw new Error("the wallet provider is unavailable");
    }
    return { receipt: `receipt-${orderId}` };
  },
});

/** No carrier delivers to Antarctica, so every attempt fails. */
const ship = defineStep({
  id: "ship",
  input: payment,
  output: z.object({ trackingNumber: z.string() }),
  retry: { maxRetries: 1, delayMs: 5 },
  run: async (_, ctx) => {
    const { orderId, country } = await ctx.output(validate);
    if (country === "AQ") throw new Error("no carrier ships to AQ");
    return { trackingNumber: `${country}-${orderId}` };
  },
});

export const fulfilOrder = defineWorkflow({ id: "fulfil-order", version: "1" })
  .step(validate)
  .parallel(reserveStock, checkFraud)
  .stepIf((input) => input["check-fraud"].score > 0.5, review)
  .step(charge)
  .step(ship)
  .build();
