import * as z from "zod";
import { callbackSchema, operationShape } from "../../model/arguments.ts";
import { maxTimerMs } from "../../async/pause.ts";
import type { OperationOptions } from "../../store/options.ts";

export interface MirrorOptions {
  /** The most changed runs that wait for the secondary; further changes are missed and counted. Defaults to 10,000. */
  readonly maxPendingRuns?: number | undefined;
  /** Milliseconds before a failed attempt is repeated, doubled up to 5 s. Defaults to 100. */
  readonly retryDelayMs?: number | undefined;
  /**
   * Called when the secondary begins to fail, when it refuses a run, and when a change is missed. An error that it
   * throws is ignored.
   */
  readonly onDivergence?: ((report: DivergenceReport) => void) | undefined;
}

/** How far the secondary is behind the primary, as far as this mirror knows. */
export interface DivergenceReport {
  /** Changes that have not been copied yet. */
  readonly pendingChanges: number;
  /**
   * Runs that were not copied, each with its error, and will not be until they change again: the secondary refuses
   * them or has a newer run, or they cannot be read. `resync` copies over newer steps, outputs and state of the same
   * revision; a run of a later revision must be deleted from the secondary first.
   */
  readonly failedRuns: readonly { readonly runId: string; readonly error: unknown }[];
  /** Changes whose runs are not known: the queue was full, or the answer to a write was lost. */
  readonly missedChanges: number;
  /** Why the last attempt to copy failed; null if it succeeded. */
  readonly lastError: unknown;
}

export interface SwitchOverOptions extends OperationOptions {
  /** The longest time in milliseconds that calls may wait while the last differences are copied. Defaults to 5000. */
  readonly maxPauseMs?: number | undefined;
  /**
   * Called when both stores hold the same, before the secondary answers any call: the place to record which store a
   * restarted process uses as its primary. A process that restarts with the old primary loses what was written since.
   * If the callback rejects, nothing is switched and `switchOver` rejects with its error. `maxPauseMs` does not end
   * it. The signal does, and then the primary stays: a record that is written later is wrong. Calls of the mirrored
   * store inside the callback are refused.
   */
  readonly recordSwitch?: ((options: OperationOptions) => void | Promise<void>) | undefined;
}

export interface SwitchOverReport {
  /** How often the stores were compared. */
  readonly comparisons: number;
  /** How long calls waited, in milliseconds. */
  readonly pausedMs: number;
}

export interface ResyncReport {
  /** Runs that differed and were copied. */
  readonly differing: number;
}

export const mirrorOptionsSchema = z.strictObject({
  maxPendingRuns: z.int().min(1).default(10_000),
  retryDelayMs: z.int().min(1).max(maxTimerMs).default(100),
  onDivergence: callbackSchema<DivergenceReport>(),
});
export type ParsedMirrorOptions = z.output<typeof mirrorOptionsSchema>;

export const switchOverOptionsSchema = z.strictObject({
  maxPauseMs: z.int().min(1).max(maxTimerMs).default(5000),
  recordSwitch: z
    .custom<NonNullable<SwitchOverOptions["recordSwitch"]>>((value) => typeof value === "function")
    .optional(),
  ...operationShape,
});
export type ParsedSwitchOverOptions = z.output<typeof switchOverOptionsSchema>;
