import * as z from "zod/mini";
import { compiledObject } from "../schema/compiled-object.ts";
import { idSchema, pauseReasonSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { InvalidArgumentError } from "../errors.ts";
import { operationOptionsSchema, operationShape } from "./arguments.ts";
import type { Fence } from "./transitions.ts";

const attempt = z.optional(z.int().check(z.minimum(0)));
const fenceShape = { workerId: z.optional(idSchema), attempt, ...operationShape };
const revision = z.int().check(z.minimum(0));
const expectedRevision = z.optional(revision);
const runRevisionSchema = compiledObject({ runId: idSchema, revision });

const fenceOptionsSchema = compiledObject(fenceShape);
const revisionOptionsSchema = compiledObject({ expectedRevision, ...fenceShape });
const batchOptionsSchema = compiledObject({
  fence: z.optional(compiledObject({ runId: idSchema, workerId: idSchema, attempt })),
  expectedRevisions: z.optional(z.array(runRevisionSchema)),
  ...operationShape,
});
const writeBundlesOptionsSchema = compiledObject({
  onConflict: z.enum(["fail", "skip", "replace"]),
  keepNewer: z._default(z.boolean(), false),
  ...operationShape,
});

const none = {};

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseOptions(options: unknown): z.output<typeof operationOptionsSchema> {
  return options === undefined ? none : parseArgument(operationOptionsSchema, options, "options");
}

const readOptionsSchema = compiledObject({ payloads: z.optional(z.boolean()), ...operationShape });

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseReadOptions(options: unknown): z.output<typeof readOptionsSchema> {
  return options === undefined ? none : parseArgument(readOptionsSchema, options, "options");
}

const expectedRevisionSchema = compiledObject({ expectedRevision, ...operationShape });

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseExpectedRevision(options: unknown): z.output<typeof expectedRevisionSchema> {
  return options === undefined ? none : parseArgument(expectedRevisionSchema, options, "options");
}

const createRunSchema = compiledObject({
  takeKeyFrom: z.optional(runRevisionSchema),
  ...operationShape,
});

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseCreateRunOptions(options: unknown): z.output<typeof createRunSchema> {
  return options === undefined ? none : parseArgument(createRunSchema, options, "options");
}

const reopenSchema = z.extend(expectedRevisionSchema, { fromStep: z.optional(idSchema) });

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseReopenOptions(options: unknown): z.output<typeof reopenSchema> {
  return options === undefined ? none : parseArgument(reopenSchema, options, "options");
}

const pauseSchema = compiledObject({
  pausedAt: z.optional(z.date()),
  reason: z.optional(pauseReasonSchema),
  ...operationShape,
});

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parsePauseOptions(options: unknown): z.output<typeof pauseSchema> {
  return options === undefined ? none : parseArgument(pauseSchema, options, "options");
}

export interface FenceDemands {
  readonly signal?: AbortSignal | undefined;
  readonly fence: Fence | null;
}

export interface RevisionDemands extends FenceDemands {
  readonly expectedRevision?: number | undefined;
}

const noDemands: RevisionDemands = { fence: null };

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseFenceOptions(options: unknown): FenceDemands {
  return options === undefined ? noDemands : demandsOf(fenceOptionsSchema, options);
}

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseRevisionOptions(options: unknown): RevisionDemands {
  return options === undefined ? noDemands : demandsOf(revisionOptionsSchema, options);
}

function demandsOf(
  schema: typeof fenceOptionsSchema | typeof revisionOptionsSchema,
  options: unknown,
): RevisionDemands {
  const parsed: z.output<typeof revisionOptionsSchema> = parseArgument(schema, options, "options");
  const { workerId, attempt: claim, ...demands } = parsed;
  if (workerId !== undefined) return { ...demands, fence: { workerId, attempt: claim } };
  if (claim === undefined) return { ...demands, fence: null };
  throw new InvalidArgumentError({ argument: "options.attempt", reason: "needs a workerId" });
}

/** The preconditions of a batch. */
export type BatchDemands = Omit<z.output<typeof batchOptionsSchema>, "signal">;

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseBatchOptions(options: unknown): z.output<typeof batchOptionsSchema> {
  return options === undefined ? none : parseArgument(batchOptionsSchema, options, "options");
}

/** @throws {InvalidArgumentError} if an option is unknown or invalid. */
export function parseWriteBundlesOptions(
  options: unknown,
): z.output<typeof writeBundlesOptionsSchema> {
  const parsed = parseArgument(writeBundlesOptionsSchema, options, "options");
  return { ...parsed, keepNewer: parsed.keepNewer && parsed.onConflict === "replace" };
}
