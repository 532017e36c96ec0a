import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";

const order = z.object({ orderId: z.string(), item: z.string(), quantity: z.int() });
const reserved = order.extend({ shelf: z.string() });

const reserve = defineStep({
  id: "reserve",
  input: order,
  output: reserved,
  run: (placed) => ({ ...placed, shelf: `shelf-${placed.item.length}` }),
});

const ship = defineStep({
  id: "ship",
  input: reserved,
  output: z.string(),
  run: ({ orderId, quantity, shelf }) => `${orderId}: ${quantity} from ${shelf}`,
});

export const fulfilOrder = defineWorkflow({ id: "fulfil-order" }).step(reserve).step(ship).build();
