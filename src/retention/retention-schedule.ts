import * as z from "zod/mini";
import { parseArgument } from "../arguments.ts";
import { operationsEnded } from "../async/abort.ts";
import { outerFlow } from "../async/flow.ts";
import { callbackSchema, checkStore } from "../model/arguments.ts";
import { positiveTimerMsSchema } from "../model/times.ts";
import type { MaintenanceStore } from "../store/maintenance.ts";
import {
  applyRetention,
  retentionPolicySchema,
  type RetentionPolicy,
  type RetentionReport,
} from "./retention-policy.ts";

export interface RetentionScheduleOptions {
  /** The milliseconds from the end of one application to the next. */
  readonly everyMs: number;
  /** Receives the report of each application. Its errors go to `onError`. */
  readonly onReport?: ((report: RetentionReport) => unknown) | undefined;
  /** Receives the error of a failed application. The next one takes place anyway. Its own errors are ignored. */
  readonly onError: (error: unknown) => unknown;
}

export interface RetentionSchedule {
  /** Stops the schedule. A running application is aborted after its current batch. Resolves when it has ended. */
  stop(): Promise<void>;
}

const optionsSchema = z.strictObject({
  everyMs: positiveTimerMsSchema,
  onReport: callbackSchema<RetentionReport>(),
  onError: z.nonoptional(callbackSchema<unknown>()),
});

/**
 * Applies the policy every `everyMs`, for the first time after that delay. It does not keep the process alive. Several
 * processes may do this on one store.
 *
 * @throws {InvalidArgumentError} if an argument is invalid.
 */
export function scheduleRetention(
  store: MaintenanceStore,
  policy: RetentionPolicy,
  options: RetentionScheduleOptions,
): RetentionSchedule {
  checkStore(store, "store");
  const parsed = parseArgument(retentionPolicySchema, policy, "policy");
  const { everyMs, onReport, onError } = parseArgument(optionsSchema, options, "options");
  const abort = new AbortController();
  let timer: NodeJS.Timeout;
  let applying: Promise<void> = Promise.resolve();

  const tell = (failure: unknown): void => {
    const telling = async (): Promise<unknown> => onError(failure);
    telling().catch(() => undefined);
  };
  const apply = async (): Promise<void> => {
    try {
      const report = await applyRetention(store, parsed, { signal: abort.signal });
      const telling = async (): Promise<unknown> => onReport?.(report);
      // The callback is not awaited: it may call `stop`, or never end.
      telling().catch(tell);
    } catch (error) {
      if (!abort.signal.aborted) tell(error);
    }
    if (!abort.signal.aborted) wait();
  };
  const wait = (): void => {
    timer = setTimeout(() => {
      applying = apply();
    }, everyMs);
    timer.unref();
  };

  // The schedule must not keep the asynchronous context of a request, nor run inside a transaction of the store.
  outerFlow(wait);

  return {
    async stop() {
      abort.abort();
      clearTimeout(timer);
      await applying;
      await operationsEnded(abort.signal);
    },
  };
}
