import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { idSchema, isId } from "../schema/zod.ts";

/** @throws {InvalidArgumentError} unless `value` is 1 to 255 well-formed characters without NUL. */
export function parseId(value: unknown, argument: string): string {
  // Every operation calls this, so the slower schema only creates the error.
  return isId(value) ? value : parseArgument(idSchema, value, argument);
}

/** The options of every operation. */
export const operationShape = { signal: z.instanceof(AbortSignal).optional() };
export const operationOptionsSchema = z.strictObject(operationShape);
export const limitSchema = z.int().min(1).max(1000);

/** A copy of a date, because the caller may change it before the operation uses it. */
export const dateSchema = z.date().transform((date) => new Date(date));

/** A callback, or undefined. */
export const callbackSchema = <Told, Result = void>() =>
  z.custom<(told: Told) => Result>((value) => typeof value === "function").optional();
