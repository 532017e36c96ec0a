import { defineStep, defineWorkflow } from "gorkflow";
import { z } from "zod";

const parcel = z.object({ parcelId: z.string(), weightKg: z.int() });

const priced = z.object({ parcelId: z.string(), cents: z.int() });

const weigh = defineStep({
  id: "weigh",
  input: parcel,
  output: priced,
  run: ({ parcelId, weightKg }) => ({ parcelId, cents: 500 + 120 * weightKg }),
});

const label = defineStep({
  id: "label",
  input: priced,
  output: z.string(),
  run: ({ parcelId, cents }) => `${parcelId}: ${cents} cents`,
});

export const shipParcel = defineWorkflow({ id: "ship-parcel" }).step(weigh).step(label).build();
