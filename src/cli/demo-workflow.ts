import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod/mini";
import { defineStep } from "../engine/definition/define-step.ts";
import { defineWorkflow } from "../engine/definition/workflow-builder.ts";

/** The parcel that the workflow of `gorkflow demo` sends. Some steps fail on purpose. */
const parcel = z.object({ number: z.int(), country: z.string(), grams: z.number() });

const weighed = z.extend(parcel, { price: z.number() });
const labelled = z.object({ label: z.string() });
const declared = z.object({ declared: z.boolean() });

const weigh = defineStep({
  id: "weigh",
  input: parcel,
  output: weighed,
  run: async (input) => {
    await sleep(5 + (input.number % 7) * 4);
    return { ...input, price: 3 + input.grams / 200 };
  },
});

const label = defineStep({
  id: "print-label",
  input: weighed,
  output: labelled,
  retry: { maxRetries: 3, delayMs: 10, backoff: "linear" },
  run: async ({ number, country }, { attempt }) => {
    await sleep(10);
    if (number % 5 === 0 && attempt < 3) throw new Error("the printer is out of paper");
    return { label: `${country}-${number}` };
  },
});

const declare = defineStep({
  id: "declare-customs",
  input: weighed,
  output: declared,
  run: async ({ country }) => {
    await sleep(20);
    if (country === "AQ") throw new Error("no customs office in AQ");
    return { declared: country !== "DE" };
  },
});

const dispatch = defineStep({
  id: "dispatch",
  input: z.object({
    "print-label": labelled,
    "declare-customs": declared,
  }),
  output: z.string(),
  run: async ({ "print-label": { label: printed } }) => {
    await sleep(5);
    return `sent as ${printed}`;
  },
});

export const sendParcel = defineWorkflow({ id: "send-parcel", version: "1" })
  .step(weigh)
  .parallel(label, declare)
  .step(dispatch)
  .build();

const countries = ["DE", "FR", "SN", "JP", "US", "DE", "FR", "AQ", "ES"];

export function parcelOf(number: number): z.output<typeof parcel> {
  return {
    number,
    country: countries[number % countries.length] ?? "DE",
    grams: 100 + ((number * 37) % 900),
  };
}
