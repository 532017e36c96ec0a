import * as z from "zod";
import { callbackSchema, operationShape } from "../../model/arguments.ts";
import { maxTimerMs } from "../../async/pause.ts";
import type { OperationOptions } from "../../store/options.ts";

export interface MirrorOptions {
  /** Changed runs that wait for the secondary; beyond, changes are missed, and counted. 10,000 when absent. */
  readonly maxPendingRuns?: number | undefined;
  /** Time before a failed attempt is made again, doubled up to 5 s; 100 ms when absent. */
  readonly retryDelayMs?: number | undefined;
  /**
   * Told when the secondary begins to fail, when it refuses a run, and when a change is missed. An error that it
   * throws fails nobody, and is lost.
   */
  readonly onDivergence?: ((report: DivergenceReport) => void) | undefined;
}

/** How far the store that follows is from the one that answers, as far as this mirror knows. */
export interface DivergenceReport {
  /** Changes that are still to be brought over. */
  readonly pendingChanges: number;
  /**
   * Runs that were not copied, and will not be until they change again, each with its error: the secondary refuses
   * them or holds a newer revision, or they cannot be read.
   */
  readonly failedRuns: readonly { readonly runId: string; readonly error: unknown }[];
  /** Changes that nobody knows any more: the queue was full, or the answer to a write was lost. */
  readonly missedChanges: number;
  /** What keeps the follower from going on; null when its last attempt went well. */
  readonly lastError: unknown;
}

export interface SwitchOverOptions extends OperationOptions {
  /** The longest that calls may wait while the last differences are settled; 5000 ms when absent. */
  readonly maxPauseMs?: number | undefined;
  /**
   * Called when both stores hold the same and calls wait, before the secondary answers the first of them: the place
   * to record, where a restart finds it, which store answers from now on. A process that was killed after a switch
   * and begins with the store of before would lose what was written since. When it rejects, nothing is switched, and
   * its error is that of `switchOver`. `maxPauseMs` does not end it; the signal does, and the primary then answers:
   * a record that is written after that is wrong. Calls of the mirrored store from here are refused.
   */
  readonly recordSwitch?: ((options: OperationOptions) => void | Promise<void>) | undefined;
}

export interface SwitchOverReport {
  /** How often the stores were compared. */
  readonly comparisons: number;
  /** How long calls waited. */
  readonly pausedMs: number;
}

/** What a mirror found when it compared its stores. */
export interface ResyncReport {
  /** Runs that differed, and were brought over. */
  readonly differing: number;
}

export const mirrorOptionsSchema = z.strictObject({
  maxPendingRuns: z.int().min(1).default(10_000),
  retryDelayMs: z.int().min(1).max(maxTimerMs).default(100),
  onDivergence: callbackSchema<DivergenceReport>(),
});
export const switchOverOptionsSchema = z.strictObject({
  maxPauseMs: z.int().min(1).max(maxTimerMs).default(5000),
  recordSwitch: z
    .custom<NonNullable<SwitchOverOptions["recordSwitch"]>>((value) => typeof value === "function")
    .optional(),
  ...operationShape,
});

export type ParsedMirrorOptions = z.output<typeof mirrorOptionsSchema>;
export type ParsedSwitchOverOptions = z.output<typeof switchOverOptionsSchema>;
