import { defineStep, defineWorkflow } from "gorkflow";
import * as z from "zod/mini";

const order = z.object({ orderId: z.string(), reminderMs: z.int() });

const wait = defineStep({
  id: "wait",
  input: order,
  output: order,
  async run(input, ctx) {
    await ctx.sleep(input.reminderMs);
    return input;
  },
});

const remind = defineStep({
  id: "remind",
  input: order,
  output: z.object({ reminded: z.string() }),
  run: async ({ orderId }) => ({ reminded: orderId }),
});

export const reminder = defineWorkflow({ id: "reminder" }).step(wait).step(remind).build();
