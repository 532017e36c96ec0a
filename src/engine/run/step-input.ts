import * as z from "zod";
import { InvalidValueError, StepValidationError } from "../../errors.ts";
import { encodeJson } from "../../json.ts";
import { jsonLimits } from "../../schema/columns.ts";
import type { StageInput, StepRun } from "./stage-run.ts";

/** The input of an attempt. */
export interface ParsedInput {
  readonly value: unknown;
  /** True if another parse would make another value, as a default that is random does: store this one first. */
  readonly mustBeStored: boolean;
}

/**
 * The value that the step's schema makes of the stage's input. It is parsed in the first attempt only, unless the schema
 * makes something that JSON cannot hold: later attempts get the same value.
 *
 * @throws {StepValidationError} if the input does not fit.
 */
export async function parseInput(step: StepRun, { text }: StageInput): Promise<ParsedInput> {
  if (step.parsedInput !== null) {
    return { value: JSON.parse(step.parsedInput), mustBeStored: false };
  }
  const value = await parseText(step, text);
  const parsed = textOf(value);
  step.parsedInput = parsed;
  if (parsed === null || parsed === text) return { value, mustBeStored: false };
  return { value, mustBeStored: textOf(await parseText(step, text)) !== parsed };
}

async function parseText(
  { planned: { definition }, wasAccepted }: StepRun,
  text: string,
): Promise<unknown> {
  try {
    return await definition.parseInput(JSON.parse(text));
  } catch (error) {
    // A rule that depends on the time may refuse what it accepted in an earlier attempt.
    const isStale = wasAccepted && error instanceof StepValidationError;
    if (isStale && makesJson(definition.inputSchema)) return JSON.parse(text);
    throw error;
  }
}

/** True if all values of the schema are JSON: then an accepted input that was not stored again is its own result. */
function makesJson(schema: z.ZodType): boolean {
  try {
    z.toJSONSchema(schema, { io: "output", unrepresentable: "throw" });
    return true;
  } catch {
    return false;
  }
}

/** An input as JSON text; null if it cannot be stored as JSON. */
export function textOf(value: unknown): string | null {
  try {
    return encodeJson(value, "input", jsonLimits.payload);
  } catch (error) {
    if (error instanceof InvalidValueError) return null;
    throw error;
  }
}
