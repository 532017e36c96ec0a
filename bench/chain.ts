import { z } from "zod";
import { defineStep, defineWorkflow, type Workflow, type WorkflowBuilder } from "../src/index.ts";

/** About 200 bytes of JSON: what a run begins with, and what every step of it returns. */
export const input = {
  orderId: "0198f3a2-6f0e-7d0c-9a41-5b8f0c6d1e22",
  customer: { name: "Ada Lovelace", email: "ada@example.com" },
  items: [
    { item: "lamp", quantity: 2 },
    { item: "cable", quantity: 1 },
  ],
  total: 129.5,
};

type Order = typeof input;
const order = z.custom<Order>();
const step = (at: number) =>
  defineStep({ id: `step-${at}`, input: order, output: order, run: async (value) => value });

/** Steps in a row that do nothing but hand the order on. */
export function chainOf(steps: number): Workflow<Order, Order> {
  let builder: WorkflowBuilder<Order, Order> = defineWorkflow({ id: `chain-${steps}` }).step(
    step(1),
  );
  for (let at = 2; at <= steps; at++) builder = builder.step(step(at));
  return builder.build();
}
