import { InvalidValueError, StepValidationError } from "../../errors.ts";
import { decodeJson, encodeJson } from "../../json.ts";
import { jsonLimits } from "../../schema/columns.ts";
import { isZod4, type StandardSchema } from "../definition/standard-schema.ts";
import type { StageInput, StepRun } from "./stage-run.ts";

export interface ParsedInput {
  readonly value: unknown;
  /** True if another parse would return a different value, for example a random default. Store this one first. */
  readonly mustBeStored: boolean;
}

/**
 * Parses the stage's input for a step. Only the first attempt parses it, so that later attempts get the same value. Values
 * that JSON cannot represent are parsed in each attempt.
 *
 * @throws {StepValidationError} if the input does not fit.
 */
export async function parseInput(step: StepRun, { text }: StageInput): Promise<ParsedInput> {
  // If an earlier attempt timed out while it parsed, both may parse at the same time. The first to end decides.
  const value = step.parsedInput === null ? await parseText(step, text) : null;
  if (step.parsedInput !== null) {
    return { value: decodeJson(step.parsedInput), mustBeStored: false };
  }
  const parsed = textOf(value);
  step.parsedInput = parsed;
  if (parsed === null || parsed === text) return { value, mustBeStored: false };
  // A rule with a memory rejects what it has accepted before.
  const again = await parseText(step, text).catch(() => undefined);
  return { value, mustBeStored: textOf(again) !== parsed };
}

async function parseText(
  { planned: { definition }, wasAccepted }: StepRun,
  text: string,
): Promise<unknown> {
  try {
    return await definition.parseInput(decodeJson(text));
  } catch (error) {
    // A rule that depends on the time may reject an input that it accepted in an earlier attempt.
    const isStale = wasAccepted && error instanceof StepValidationError;
    if (isStale && makesJson(definition.inputSchema)) return decodeJson(text);
    throw error;
  }
}

/**
 * True if all outputs of the schema are known to be JSON. An accepted input that was not stored again is then its own
 * output. Only schemas of zod 4 tell, and not those of `zod/mini`.
 */
function makesJson(schema: StandardSchema): boolean {
  if (!isZod4(schema) || schema.toJSONSchema === undefined) return false;
  try {
    schema.toJSONSchema({ io: "output", unrepresentable: "throw" });
    return true;
  } catch {
    return false;
  }
}

/** An input as JSON text; null if JSON cannot represent it. */
export function textOf(value: unknown): string | null {
  try {
    return encodeJson(value, "input", jsonLimits.payload);
  } catch (error) {
    if (error instanceof InvalidValueError) return null;
    throw error;
  }
}
