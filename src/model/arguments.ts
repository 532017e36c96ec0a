import * as z from "zod/mini";
import { compiledObject } from "../schema/compiled-object.ts";
import { parseArgument } from "../arguments.ts";
import { InvalidArgumentError } from "../errors.ts";
import { idSchema, isId } from "../schema/zod.ts";

/** @throws {InvalidArgumentError} unless `value` is 1 to 255 well-formed characters without NUL. */
export function parseId(value: unknown, argument: string): string {
  // Every operation calls this, so the slower schema only creates the error.
  return isId(value) ? value : parseArgument(idSchema, value, argument);
}

/** @throws {InvalidArgumentError} if the value is not a store. */
export function checkStore(value: unknown, argument: string): void {
  const { pruneRuns } = Object(value) as { readonly pruneRuns?: unknown };
  if (typeof pruneRuns !== "function") {
    throw new InvalidArgumentError({ argument, reason: "must be a store" });
  }
}

/** The options of every operation. */
export const operationShape = { signal: z.optional(z.instanceof(AbortSignal)) };
export const operationOptionsSchema = compiledObject(operationShape);
export const limitSchema = z.int().check(z.minimum(1), z.maximum(1000));

/** A copy of a date, because the caller may change it before the operation uses it. */
export const dateSchema = z.pipe(
  z.date(),
  z.transform((date) => new Date(date)),
);

/** A function, which is called with other arguments than a schema could check. */
export const functionSchema = <Type>(what = "a function") =>
  z.custom<Type>((value) => typeof value === "function", `must be ${what}`);

/** A callback, or undefined. */
export const callbackSchema = <Told>() => z.optional(functionSchema<(told: Told) => unknown>());
