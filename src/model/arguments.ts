import * as z from "zod/mini";
import { compiledObject } from "../schema/compiled-object.ts";
import { parseArgument } from "../arguments.ts";
import { idSchema, isId } from "../schema/zod.ts";

/** @throws {InvalidArgumentError} unless `value` is 1 to 255 well-formed characters without NUL. */
export function parseId(value: unknown, argument: string): string {
  // Every operation calls this, so the slower schema only creates the error.
  return isId(value) ? value : parseArgument(idSchema, value, argument);
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

/** A callback, or undefined. */
export const callbackSchema = <Told, Result = void>() =>
  z.optional(z.custom<(told: Told) => Result>((value) => typeof value === "function"));
