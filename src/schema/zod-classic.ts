// The schemas for apps. The stores use those of `zod/mini`, which are smaller but lack methods such as `extend`.
import * as z from "zod";
import type * as mini from "zod/mini";
import * as schemas from "./zod.ts";

/** The type of `zod` for a type of `zod/mini`. */
type Classic<Schema> =
  Schema extends mini.ZodMiniObject<infer Shape, infer Config>
    ? z.ZodObject<{ -readonly [Property in keyof Shape]: Classic<Shape[Property]> }, Config>
    : Schema extends mini.ZodMiniOptional<infer Inner>
      ? z.ZodOptional<Classic<Inner>>
      : Schema extends mini.ZodMiniNonOptional<infer Inner>
        ? z.ZodNonOptional<Classic<Inner>>
        : Schema extends mini.ZodMiniNullable<infer Inner>
          ? z.ZodNullable<Classic<Inner>>
          : Schema extends mini.ZodMiniEnum<infer Values>
            ? z.ZodEnum<Values>
            : Schema extends mini.ZodMiniCustom<infer Output, infer Input>
              ? z.ZodCustom<Output, Input>
              : ClassicLeaf<Schema>;

type ClassicLeaf<Schema> = Schema extends mini.ZodMiniInt
  ? z.ZodInt
  : Schema extends mini.ZodMiniNumber
    ? z.ZodNumber
    : Schema extends mini.ZodMiniDate
      ? z.ZodDate
      : Schema extends mini.ZodMiniUnknown
        ? z.ZodUnknown
        : never;

function classic<Schema extends z.core.$ZodType>(schema: Schema): Classic<Schema> {
  return convert(schema) as unknown as Classic<Schema>;
}

function convert(schema: z.core.$ZodType): z.ZodType {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "object": {
      const members = Object.entries(def.shape).map(([name, each]) => [name, convert(each)]);
      return z.strictObject(Object.fromEntries(members));
    }
    case "optional":
      return z.optional(convert(def.innerType));
    case "nonoptional":
      return z.nonoptional(convert(def.innerType));
    case "nullable":
      return z.nullable(convert(def.innerType));
    case "enum":
      return z.enum(def.entries);
    case "custom":
      return z.custom(def.fn, { error: def.error });
    case "number":
      return ("format" in def ? z.int() : z.number()).check(...numberChecks(def));
    case "date":
      return z.date();
    case "unknown":
      return z.unknown();
    default:
      throw new TypeError(`no conversion of ${def.type}`);
  }
}

function numberChecks({ checks = [] }: z.core.$ZodTypeDef) {
  return checks as z.core.$ZodCheck<number>[];
}

export const runStatusSchema = classic(schemas.runStatusSchema);
export const stepStatusSchema = classic(schemas.stepStatusSchema);

/** Rows with all columns. */
export const workflowRunSchema = classic(schemas.workflowRunSchema);
export const stepExecutionSchema = classic(schemas.stepExecutionSchema);
export const stepAttemptSchema = classic(schemas.stepAttemptSchema);
export const stepOutputSchema = classic(schemas.stepOutputSchema);
export const workflowStateSchema = classic(schemas.workflowStateSchema);
export const workflowPauseSchema = classic(schemas.workflowPauseSchema);

/** A row to insert. Columns with defaults are optional. */
export const newWorkflowRunSchema = classic(schemas.newWorkflowRunSchema);
export const newStepExecutionSchema = classic(schemas.newStepExecutionSchema);
export const newStepAttemptSchema = classic(schemas.newStepAttemptSchema);
export const newStepOutputSchema = classic(schemas.newStepOutputSchema);
export const newWorkflowStateSchema = classic(schemas.newWorkflowStateSchema);

/** The changes of `updateRun`: all columns except the ids, the lease and the counters. */
export const workflowRunChangesSchema = classic(schemas.workflowRunChangesSchema);
/** The changes of `updateStepExecution`: all columns except the ids. */
export const stepExecutionChangesSchema = classic(schemas.stepExecutionChangesSchema);
