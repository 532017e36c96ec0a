import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { operationsEnded } from "../async/abort.ts";
import { maxTimerMs } from "../async/pause.ts";
import type { MaintenanceStore } from "../store/maintenance.ts";
import {
  applyRetention,
  retentionPolicySchema,
  type RetentionPolicy,
  type RetentionReport,
} from "./retention-policy.ts";

export interface RetentionScheduleOptions {
  /** Time from the end of one application to the next. */
  readonly everyMs: number;
  /** Told what was deleted, each time. An error that it throws, or rejects with, goes to `onError`. */
  readonly onReport?: ((report: RetentionReport) => unknown) | undefined;
  /** Told of an application that failed; the next one takes place anyway. An error of its own is ignored. */
  readonly onError: (error: unknown) => unknown;
}

export interface RetentionSchedule {
  /** Ends it: what is under way is aborted after its batch. Resolves when nothing happens any more. */
  stop(): Promise<void>;
}

const isFunction = (value: unknown): boolean => typeof value === "function";
const optionsSchema = z.strictObject({
  everyMs: z.int().min(1).max(maxTimerMs),
  onReport: z.custom<(report: RetentionReport) => unknown>(isFunction).optional(),
  onError: z.custom<(error: unknown) => unknown>(isFunction),
});

/**
 * Applies the policy every `everyMs`, the first time after that. It keeps no process alive; several processes may
 * do it on one store: what one has deleted, the others do not find.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function scheduleRetention(
  store: MaintenanceStore,
  policy: RetentionPolicy,
  options: RetentionScheduleOptions,
): RetentionSchedule {
  const parsed = parseArgument(retentionPolicySchema, policy, "policy");
  const { everyMs, onReport, onError } = parseArgument(optionsSchema, options, "options");
  const abort = new AbortController();
  let timer: NodeJS.Timeout;
  let applying: Promise<void> = Promise.resolve();

  // There is nobody left to tell of an error of `onError` itself.
  const tell = (error: unknown) =>
    isolated(
      () => onError(error),
      () => undefined,
    );
  const apply = async (): Promise<void> => {
    try {
      const report = await applyRetention(store, parsed, { signal: abort.signal });
      // A callback is not waited for: it may call `stop`, and one that never ends must not end the schedule.
      void isolated(() => onReport?.(report), tell);
    } catch (error) {
      if (!abort.signal.aborted) void tell(error);
    }
    if (!abort.signal.aborted) wait();
  };
  const wait = (): void => {
    timer = setTimeout(() => {
      applying = apply();
    }, everyMs);
    timer.unref();
  };

  wait();
  return {
    async stop() {
      abort.abort();
      clearTimeout(timer);
      await applying;
      await operationsEnded(abort.signal);
    },
  };
}

/** Runs a callback of the app; an error of it goes to `caught`. */
async function isolated(
  callback: () => unknown,
  caught: (error: unknown) => unknown,
): Promise<void> {
  try {
    await callback();
  } catch (error) {
    await caught(error);
  }
}
