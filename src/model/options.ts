import * as z from "zod";
import { idSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { operationOptionsSchema, operationShape } from "./arguments.ts";

const workerId = idSchema.optional();
const expectedRevision = z.int().min(0).optional();

const fenceOptionsSchema = z.strictObject({ workerId, ...operationShape });
const revisionOptionsSchema = z.strictObject({ expectedRevision, workerId, ...operationShape });
const batchOptionsSchema = z.strictObject({
  fence: z.strictObject({ runId: idSchema, workerId: idSchema }).optional(),
  ...operationShape,
});
const writeBundlesOptionsSchema = z.strictObject({
  onConflict: z.enum(["fail", "skip", "replace"]),
  keepNewer: z.boolean().optional(),
  ...operationShape,
});

const none = {};

/** @throws {InvalidArgumentError} for an unknown option, or one of the wrong type. */
export function parseOptions(options: unknown): z.output<typeof operationOptionsSchema> {
  return options === undefined ? none : parseArgument(operationOptionsSchema, options, "options");
}

/** @throws {InvalidArgumentError} for an unknown option, or one of the wrong type. */
export function parseFenceOptions(options: unknown): z.output<typeof fenceOptionsSchema> {
  return options === undefined ? none : parseArgument(fenceOptionsSchema, options, "options");
}

/** @throws {InvalidArgumentError} for an unknown option, or one of the wrong type. */
export function parseRevisionOptions(options: unknown): z.output<typeof revisionOptionsSchema> {
  return options === undefined ? none : parseArgument(revisionOptionsSchema, options, "options");
}

/** @throws {InvalidArgumentError} for an unknown option, or one of the wrong type. */
export function parseBatchOptions(options: unknown): z.output<typeof batchOptionsSchema> {
  return options === undefined ? none : parseArgument(batchOptionsSchema, options, "options");
}

/** @throws {InvalidArgumentError} for an unknown option, or one of the wrong type. */
export function parseWriteBundlesOptions(
  options: unknown,
): z.output<typeof writeBundlesOptionsSchema> {
  return parseArgument(writeBundlesOptionsSchema, options, "options");
}
