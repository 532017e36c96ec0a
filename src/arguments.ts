import * as z from "zod";
import { InvalidArgumentError } from "./errors.ts";

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
