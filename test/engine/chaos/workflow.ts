import { z } from "zod";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import type { OutputOf, StandardSchema } from "../../../src/engine/definition/standard-schema.ts";
import { writeEffect } from "./audit.ts";

export const stepIds = ["first", "second", "left", "right", "join", "last"] as const;

/** Six steps, two of them in parallel, each with an effect in the app's table and a key in the run's state. */
export function makeWorkflow({ workerId, stepMs }: { workerId: string; stepMs: number }) {
  const effectStep = <const Id extends (typeof stepIds)[number], Input extends StandardSchema>(
    id: Id,
    input: Input,
    sum: (value: OutputOf<Input>) => number,
  ) =>
    defineStep({
      id,
      input,
      output: z.number(),
      run: async (value, ctx) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * stepMs));
        return ctx.transaction(async (tx) => {
          await writeEffect(tx, { runId: ctx.runId, stepId: id, workerId });
          await ctx.state.set(id, ctx.attempt);
          return sum(value);
        });
      },
    });
  // Its workers are killed more often than the default of maxLostLeases.
  return defineWorkflow({ id: "chaos", maxLostLeases: 1000 })
    .step(effectStep("first", z.number(), (value) => value + 1))
    .step(effectStep("second", z.number(), (value) => value + 1))
    .parallel(
      effectStep("left", z.number(), (value) => value + 1),
      effectStep("right", z.number(), (value) => value + 1),
    )
    .step(
      effectStep(
        "join",
        z.object({ left: z.number(), right: z.number() }),
        ({ left, right }) => left + right + 1,
      ),
    )
    .step(effectStep("last", z.number(), (value) => value + 1))
    .build();
}

/** The output of a run with this input. */
export const outputOf = (input: number): number => 2 * (input + 3) + 2;
