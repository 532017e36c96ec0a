import { z } from "zod";
import { InvalidArgumentError } from "../errors.ts";
import { idSchema } from "../schema/zod.ts";

/**
 * `value` as `schema` reads it. `argument` names it in errors.
 *
 * @throws {InvalidArgumentError} that names the field and the rule it breaks, never its value.
 */
export function parseArgument<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  argument: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = [...(issue?.path ?? [])];
  if (issue?.code === "unrecognized_keys") path.push(issue.keys[0] ?? "");
  throw new InvalidArgumentError({
    argument: path.reduce<string>(
      (prefix, part) =>
        typeof part === "number" ? `${prefix}[${part}]` : `${prefix}.${String(part)}`,
      argument,
    ),
    reason:
      issue?.code === "unrecognized_keys" ? "is not known" : (issue?.message ?? "is not valid"),
  });
}

/** @throws {InvalidArgumentError} when `value` is not 1 to 255 well-formed characters without NUL. */
export function parseId(value: unknown, argument: string): string {
  return parseArgument(idSchema, value, argument);
}

/** What every operation accepts among its options. */
export const operationShape = { signal: z.instanceof(AbortSignal).optional() };
export const operationOptionsSchema = z.strictObject(operationShape);
export const limitSchema = z.int().min(1).max(1000);
