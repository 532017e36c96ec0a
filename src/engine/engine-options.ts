import * as z from "zod/mini";
import { positiveTimerMsSchema, timerMsSchema } from "../model/times.ts";
import { functionSchema, operationShape } from "../model/arguments.ts";
import type { AppTransaction } from "../drizzle-types.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import type { Tags } from "../schema/json-types.ts";
import { idSchema, tagsSchema, timeoutSchema } from "../schema/zod.ts";
import type { Clock } from "../store/clock.ts";
import type { OperationOptions } from "../store/options.ts";
import { engineEventTypes } from "./observe/events.ts";
import { logLevels, type Logger } from "./observe/logger.ts";
import type { StepFailure } from "./run/step-errors.ts";

export interface EngineOptions {
  /** The id of the worker in runs and attempts. Defaults to a random id. Engines may share one. */
  readonly workerId?: string | undefined;
  /**
   * The time in milliseconds after which other workers may claim the run of a dead worker. Defaults to 30,000. A worker
   * extends its leases four times in that time, so choose much more than the longest block of the event loop.
   */
  readonly leaseMs?: number | undefined;
  /**
   * After this number of lost leases in a row without progress, a run fails with `RunAbandonedError`, because its step
   * may be what kills the workers. Defaults to 5. A workflow can have its own number. If a constraint of the app refuses
   * the status FAILED too, a worker claims the run once per lease and executes no step.
   */
  readonly maxLostLeases?: number | undefined;
  /** The maximum number of active runs. Defaults to 10. */
  readonly concurrency?: number | undefined;
  /** Defaults to a silent logger. */
  readonly logger?: Logger | undefined;
  /** Defaults to the system's clock. */
  readonly clock?: Clock | undefined;
}

export interface StartOptions extends OperationOptions {
  readonly resourceId?: string | undefined;
  /** They are added to the tags of the workflow, and replace those of the same name. */
  readonly tags?: Tags | undefined;
  /** Data of the app, which steps and conditions read by `ctx.context`. At most 128 KiB of JSON. */
  readonly context?: object | undefined;
  /** A second start of this workflow with the same key returns the run of the first. */
  readonly idempotencyKey?: string | undefined;
  /**
   * What to do if the run of the key is FAILED or CANCELLED. `return`, the default, returns it. `reuseKey` starts a new
   * run, to which the key then belongs. The old run is kept without its key.
   */
  readonly onExisting?: "return" | "reuseKey" | undefined;
  /**
   * The time in milliseconds after the creation of a run at which its key expires for this start. A start with an expired
   * key starts a new run, to which the key then belongs. Defaults to no limit.
   */
  readonly keyTtlMs?: number | undefined;
  /** The earliest time at which the run begins. Defaults to now. */
  readonly startAt?: Date | undefined;
  /**
   * The maximum duration of the run from `startAt`, in milliseconds. Then the run fails with `RunTimeoutError`, and the
   * signals of its steps abort. Defaults to the workflow's limit.
   */
  readonly timeoutMs?: number | undefined;
  /** The time by which the run must have ended. The earlier of this and `timeoutMs` applies. */
  readonly deadlineAt?: Date | undefined;
  /** A transaction of the app if the store shares its database. The run exists once it commits. */
  readonly tx?: AppTransaction | undefined;
}

/** `tx` is for `start`: a run cannot end before its transaction commits. */
export interface RunOptions extends Omit<StartOptions, "tx"> {
  /**
   * If true, an abort of `signal` also cancels the run, and the call rejects once that is stored. A run that another call
   * has started with the same idempotency key is not cancelled. Defaults to false: the call rejects at once, and the run
   * continues.
   */
  readonly cancelOnAbort?: boolean | undefined;
}

export interface CloseOptions {
  /** How long running steps may continue, in milliseconds. Defaults to 10,000; at most 2^31 - 1. */
  readonly deadlineMs?: number | undefined;
}

declare const runOutput: unique symbol;

/** The id of a run, from which `wait` knows the type of its output. At run time it is a string. */
export type RunId<Output = unknown> = string & { readonly [runOutput]: Output };

/** A run that has ended. */
export type FinishedRun<Output> = Omit<WorkflowRun, "status" | "output" | "error"> &
  (
    | { readonly status: "COMPLETED"; readonly output: Output; readonly error: null }
    | { readonly status: "FAILED"; readonly output: null; readonly error: StepFailure }
    | { readonly status: "CANCELLED"; readonly output: null; readonly error: StepFailure | null }
  );

const positive = z.int().check(z.minimum(1));
export const maxLostLeasesSchema = positive;
const isLogger = (value: unknown): value is Logger =>
  typeof value === "object" &&
  value !== null &&
  logLevels.every((level) => typeof Reflect.get(value, level) === "function");
const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const engineOptionsSchema = z.strictObject({
  workerId: z.optional(idSchema),
  leaseMs: z.optional(positiveTimerMsSchema),
  maxLostLeases: z.optional(maxLostLeasesSchema),
  concurrency: z.optional(positive.check(z.maximum(1000))),
  logger: z.optional(
    z.custom<Logger>(isLogger, `must be a logger with the methods ${logLevels.join(", ")}`),
  ),
  clock: z.optional(functionSchema<Clock>()),
});

export const startOptionsSchema = z.strictObject({
  resourceId: z.optional(idSchema),
  tags: z.optional(tagsSchema),
  context: z.optional(z.custom<object>(isObject, "must be an object")),
  idempotencyKey: z.optional(idSchema),
  onExisting: z.optional(z.enum(["return", "reuseKey"])),
  keyTtlMs: z.optional(timeoutSchema),
  startAt: z.optional(z.date()),
  timeoutMs: z.optional(timeoutSchema),
  deadlineAt: z.optional(z.date()),
  tx: z.optional(z.custom<AppTransaction>((value) => value !== null)),
  ...operationShape,
});

export const runOptionsSchema = z.extend(startOptionsSchema, {
  tx: z.optional(z.undefined("is for `start`: a run cannot end before its transaction commits")),
  cancelOnAbort: z.optional(z.boolean()),
});

export const eventTypeSchema = z.enum(engineEventTypes);

export const closeOptionsSchema = z.strictObject({ deadlineMs: z.optional(timerMsSchema) });
