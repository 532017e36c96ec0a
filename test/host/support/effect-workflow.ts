import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";

/** What steps have done to the app's database. Nothing in it keeps an effect from being there twice. */
export const effects = sqliteTable("effects", {
  runId: text("run_id").notNull(),
  stepId: text("step_id").notNull(),
  /** Differs from attempt to attempt. */
  token: text("token").notNull(),
});

export const effectsDefinition = "create table effects (run_id text, step_id text, token text)";

const effectStep = <const Id extends string>(id: Id, input: z.ZodType) =>
  defineStep({
    id,
    input,
    output: z.string(),
    retry: { maxRetries: 20, delayMs: 5 },
    run: (_, ctx) =>
      ctx.transaction(async (tx) => {
        const token = crypto.randomUUID();
        await tx.insert(effects).values({ runId: ctx.runId, stepId: id, token });
        return token;
      }),
  });

const anything = z.unknown();

/**
 * Every step inserts an effect as its last act, and has the effect's token for its output. Its processes are killed
 * more often than a run may lose its lease by default.
 */
export const effectWorkflow = defineWorkflow({ id: "effects", maxLostLeases: 1000 })
  .step(effectStep("first", anything))
  .step(effectStep("second", anything))
  .parallel(effectStep("left", anything), effectStep("right", anything))
  .step(effectStep("last", anything))
  .build();

export const effectStepIds = ["first", "second", "left", "right", "last"] as const;
