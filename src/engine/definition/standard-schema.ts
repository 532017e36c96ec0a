import * as z from "zod/mini";
import { inEnglish, nameField } from "../../arguments.ts";
import { StepValidationError } from "../../errors.ts";

/** A schema of a library that implements https://standardschema.dev: zod, Valibot, ArkType and others. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value that a schema made, or what it rejected. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** A broken rule, and the path of the value that breaks it. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type of the values that the schema accepts. */
export type InputOf<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["input"];

/** The type of the values that the schema makes. */
export type OutputOf<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["output"];

/** True if the value is a schema. Schemas of ArkType are functions. */
export function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  const { "~standard": standard } = value as { readonly "~standard"?: { validate?: unknown } };
  return typeof standard?.validate === "function";
}

interface Zod4Schema extends StandardSchema {
  readonly safeParseAsync: (
    value: unknown,
    options?: z.core.ParseContext<z.core.$ZodIssue>,
  ) => Promise<z.core.util.SafeParseResult<unknown>>;
  /** `zod/mini` lacks it. */
  readonly toJSONSchema?: (params: z.core.ToJSONSchemaParams) => unknown;
}

/** True for a schema of any copy of zod 4. */
export function isZod4(schema: StandardSchema): schema is Zod4Schema {
  return "_zod" in schema && "safeParseAsync" in schema;
}

/** `zod/mini` has no messages unless the app configures them. */
function messageOptions() {
  const { localeError, customError } = z.config();
  return localeError === undefined && customError === undefined ? inEnglish : undefined;
}

async function validate(schema: StandardSchema, value: unknown): Promise<StandardResult<unknown>> {
  if (!isZod4(schema)) return schema["~standard"].validate(value);
  // The standard's method of zod 4 tries without promises first, and so calls some rules twice.
  const { success, data, error } = await schema.safeParseAsync(value, messageOptions());
  return success ? { value: data } : { issues: error.issues };
}

/**
 * Parses `value` with `schema`.
 *
 * @throws the error that `refuse` returns for the name of the invalid field, which begins with `root`, and the rule.
 */
export async function parseValue<Schema extends StandardSchema>(
  schema: Schema,
  value: unknown,
  root: string,
  refuse: (field: string, reason: string) => Error,
): Promise<OutputOf<Schema>> {
  const result = await validate(schema, value);
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  // The `map` of ArkType's paths adds a part to an empty one.
  const path = Array.from(issue?.path ?? [], (part) =>
    typeof part === "object" ? part.key : part,
  );
  throw refuse(nameField(root, path), issue === undefined ? "is not valid" : reasonOf(issue));
}

/** The message of the issue, without the value, which the messages of zod 3, Valibot and ArkType quote. */
function reasonOf(issue: StandardIssue): string {
  const { message, received, actual, errors } = issue as StandardIssue & {
    readonly received?: unknown;
    readonly actual?: unknown;
    readonly errors?: unknown;
  };
  const quoted = actual ?? received;
  const value = typeof quoted === "string" || typeof quoted === "number" ? String(quoted) : "";
  // A word such as `undefined` or `Object` is a value only in quotes.
  const isWord = /^[A-Za-z ]*$/.test(value);
  const reason = message.replaceAll(isWord ? `'${value}'` : value, "…");
  // ArkType quotes the values of several paths for a union, and a parser that quotes a part.
  return reason.replace(Array.isArray(errors) ? / \(was .*\)/s : / \(SyntaxError: .*\)/s, "");
}

/** Null if the schema does not accept the value. A transform may throw at a value that it does not expect. */
export async function tryParse(schema: StandardSchema, value: unknown) {
  const result = await validate(schema, value).catch(() => null);
  return result === null || result.issues !== undefined ? null : { value: result.value };
}

/** Parses `value` with a schema of the step `stepId`. @throws {StepValidationError} if it is invalid. */
export function parseStepValue<Schema extends StandardSchema>(
  schema: Schema,
  value: unknown,
  { stepId, root }: { readonly stepId: string; readonly root: string },
): Promise<OutputOf<Schema>> {
  return parseValue(schema, value, root, (path, reason) => {
    return new StepValidationError({ stepId, path, reason });
  });
}

/** Parses an input like `parseStepValue`. Null may stand for a missing one. */
export async function parseStepInput<Schema extends StandardSchema>(
  schema: Schema,
  input: unknown,
  place: { readonly stepId: string; readonly root: string },
): Promise<OutputOf<Schema>> {
  const isNothing =
    input === null &&
    (await tryParse(schema, null)) === null &&
    (await tryParse(schema, undefined)) !== null;
  return parseStepValue(schema, isNothing ? undefined : input, place);
}
