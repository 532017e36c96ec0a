import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { idSchema, isId } from "../schema/zod.ts";

/** @throws {InvalidArgumentError} when `value` is not 1 to 255 well-formed characters without NUL. */
export function parseId(value: unknown, argument: string): string {
  // Every operation comes this way: the schema is asked only for what it has to say of a bad one.
  return isId(value) ? value : parseArgument(idSchema, value, argument);
}

/** What every operation accepts among its options. */
export const operationShape = { signal: z.instanceof(AbortSignal).optional() };
export const operationOptionsSchema = z.strictObject(operationShape);
export const limitSchema = z.int().min(1).max(1000);

/** A function that is told something, or nothing. */
export const callbackSchema = <Told>() =>
  z.custom<(told: Told) => void>((value) => typeof value === "function").optional();
