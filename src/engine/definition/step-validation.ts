import type * as z from "zod";
import { StepValidationError } from "../../errors.ts";

/** What a schema makes of a value, or where the value does not fit it, and by which rule. Never the value. */
export type Parsed<Value> =
  | { readonly fits: true; readonly value: Value }
  | { readonly fits: false; readonly path: string; readonly reason: string };

/** Reads `value` by `schema`. `root` names the value: `output.items[2]`. */
export async function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
): Promise<Parsed<z.output<Schema>>> {
  const result = await schema.safeParseAsync(value);
  if (result.success) return { fits: true, value: result.data };
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).reduce<string>(
    (prefix, part) =>
      typeof part === "number" ? `${prefix}[${part}]` : `${prefix}.${String(part)}`,
    root,
  );
  return { fits: false, path, reason: issue?.message ?? "is not valid" };
}

/** What `schema` makes of a value that the step `stepId` has to do with. @throws {StepValidationError} */
export async function parseStepValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { stepId, root }: { readonly stepId: string; readonly root: string },
): Promise<z.output<Schema>> {
  const parsed = await parseValue(schema, value, root);
  if (parsed.fits) return parsed.value;
  const { path, reason } = parsed;
  throw new StepValidationError({ stepId, path, reason });
}
