// Writes orders.jsonl: always the same orders, some of them invalid. `npx tsx examples/orders/make-orders.ts`
import { writeFileSync } from "node:fs";

/** A seeded random number generator (mulberry32). */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = makeRandom(20_260_101);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

const prices = {
  "desk-lamp": 39.9,
  "office-chair": 229,
  "standing-desk": 489,
  notebook: 4.5,
  pen: 1.2,
};
const skus = Object.keys(prices) as (keyof typeof prices)[];
const customers = [
  "Amara Diallo",
  "Jonas Weber",
  "Mei-Lin Chen",
  "Sofía García",
  "Tom O'Neill",
  "Yuki Tanaka",
];
const countries = ["DE", "ES", "FR", "JP", "SN", "US", "US", "FR", "DE", "AQ"];

const lines = Array.from({ length: 300 }, (_, index) => {
  const lineItems = Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
    const sku = pick(skus);
    return { sku, quantity: 1 + Math.floor(random() * 4), unitPrice: prices[sku] };
  });
  const order: Record<string, unknown> = {
    orderId: `order-${String(index + 1).padStart(4, "0")}`,
    customer: pick(customers),
    country: pick(countries),
    payment: pick(["card", "card", "invoice", "wallet"]),
    items: lineItems,
  };
  const fate = random();
  if (fate < 0.02) return JSON.stringify(order).slice(0, 60);
  if (fate < 0.04) order["items"] = [];
  else if (fate < 0.06) order["items"] = [{ sku: "pen", quantity: -3, unitPrice: 1.2 }];
  else if (fate < 0.08) delete order["customer"];
  return JSON.stringify(order);
});
writeFileSync(new URL("orders.jsonl", import.meta.url), `${lines.join("\n")}\n`);
