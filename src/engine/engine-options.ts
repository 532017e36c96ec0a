import * as z from "zod";
import { maxTimerMs } from "../async/pause.ts";
import { timerMsSchema } from "../model/times.ts";
import { operationShape } from "../model/arguments.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import type { Tags } from "../schema/json-types.ts";
import { idSchema, tagsSchema, timeoutSchema } from "../schema/zod.ts";
import type { Clock } from "../store/clock.ts";
import type { OperationOptions } from "../store/options.ts";
import { engineEventTypes } from "./observe/engine-events.ts";
import { logLevels, type Logger } from "./observe/logger.ts";
import type { StepFailure } from "./run/step-errors.ts";

export interface EngineOptions {
  /** Names the worker in runs and attempts; random if absent. Claims of the same id are told apart. */
  readonly workerId?: string | undefined;
  /**
   * For how long a run is left to a worker that has gone silent: 30,000 ms when absent. Leases are extended four
   * times in that time, so it should be long against the longest stretch of work that blocks the event loop.
   */
  readonly leaseMs?: number | undefined;
  /**
   * A run fails with `RunAbandonedError` when so many workers in a row have lost their lease on it without progress, as
   * when a step ends their process: 5 if absent. A workflow may have its own number.
   */
  readonly maxLostLeases?: number | undefined;
  /** The most runs that are under way at once: 10 when absent. */
  readonly concurrency?: number | undefined;
  /** Silent when absent. */
  readonly logger?: Logger | undefined;
  /** The system's when absent. */
  readonly clock?: Clock | undefined;
}

export interface StartOptions extends OperationOptions {
  readonly resourceId?: string | undefined;
  readonly tags?: Tags | undefined;
  /** A second start of this workflow with the same key starts nothing, and returns the first one's run. */
  readonly idempotencyKey?: string | undefined;
  /** Nothing of the run begins before; at once when absent. */
  readonly startAt?: Date | undefined;
  /**
   * The most that the run may take, from `startAt` or now on: then it fails with `RunTimeoutError`, and the signals of
   * its steps abort. The workflow's when absent.
   */
  readonly timeoutMs?: number | undefined;
  /** When the run must have ended; of this and `timeoutMs` the earlier one counts. */
  readonly deadlineAt?: Date | undefined;
  /** The app's own transaction, of a store that is in the app's database: the run is there when it commits. */
  readonly tx?: unknown;
}

export interface CloseOptions {
  /** For how long steps under way may continue, in milliseconds: 10,000 if absent, at most 2^31 - 1. */
  readonly deadlineMs?: number | undefined;
}

/** A run that has ended. */
export type FinishedRun<Output> = Omit<WorkflowRun, "status" | "output" | "error"> &
  (
    | { readonly status: "COMPLETED"; readonly output: Output; readonly error: null }
    | { readonly status: "FAILED"; readonly output: null; readonly error: StepFailure }
    | { readonly status: "CANCELLED"; readonly output: null; readonly error: StepFailure | null }
  );

const positive = z.int().min(1);
export const maxLostLeasesSchema = positive;
const isLogger = (value: unknown): value is Logger =>
  typeof value === "object" &&
  value !== null &&
  logLevels.every((level) => typeof Reflect.get(value, level) === "function");
const isFunction = (value: unknown): boolean => typeof value === "function";

export const engineOptionsSchema = z.strictObject({
  workerId: idSchema.optional(),
  leaseMs: positive.max(maxTimerMs).optional(),
  maxLostLeases: maxLostLeasesSchema.optional(),
  concurrency: positive.max(1000).optional(),
  logger: z
    .custom<Logger>(isLogger, `must be a logger with the methods ${logLevels.join(", ")}`)
    .optional(),
  clock: z.custom<Clock>(isFunction, "must be a function").optional(),
});

export const startOptionsSchema = z.strictObject({
  resourceId: idSchema.optional(),
  tags: tagsSchema.optional(),
  idempotencyKey: idSchema.optional(),
  startAt: z.date().optional(),
  timeoutMs: timeoutSchema.optional(),
  deadlineAt: z.date().optional(),
  tx: z.unknown().optional(),
  ...operationShape,
});

export const eventTypeSchema = z.enum(engineEventTypes);
export const listenerSchema = z.custom<() => void>(isFunction, "must be a function");

export const closeOptionsSchema = z.strictObject({ deadlineMs: timerMsSchema.optional() });
