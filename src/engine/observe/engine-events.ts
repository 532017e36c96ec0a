import type { RunEnding } from "../run/run-execution.ts";

/** Something that this engine has done with a run. There is never a payload in it. */
interface RunEvent {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowVersion: string;
  /** The claims of the run so far. */
  readonly runAttempt: number;
  /** Of this engine. */
  readonly workerId: string;
  /** By the engine's clock. */
  readonly at: Date;
}

interface StepEvent extends RunEvent {
  readonly stepId: string;
  /** 1 for the first try; 0 for a step that was passed over. */
  readonly attempt: number;
}

/** Why a run is no longer worked on here without having ended; `troubled`: the store failed. */
export type LeaveReason = Exclude<RunEnding, "completed" | "failed">;

/**
 * What an engine tells its listeners, by type. Each event is of this engine alone, and comes after what it says
 * has been stored. A crash between the two loses the event: what has to happen for every run belongs into a step.
 */
export interface EngineEvents {
  /** The run was claimed and goes on here; `runAttempt` 1 says that it begins. */
  readonly "run.started": RunEvent;
  /** The run has ended. CANCELLED comes from the engine on which `cancel` was called. */
  readonly "run.finished": RunEvent & { readonly status: "COMPLETED" | "FAILED" | "CANCELLED" };
  /** The run is no longer worked on here, and has not been ended here. */
  readonly "run.left": RunEvent & { readonly reason: LeaveReason };
  /** An attempt begins. Its row follows within a turn of the event loop, or with the end of the attempt. */
  readonly "step.started": StepEvent;
  /**
   * The step has ended. `durationMs` is of the last attempt; `error`, in FAILED, is what that threw. A step that was
   * passed over has no attempt: it was SKIPPED, or its condition failed with the `error` that is stored.
   */
  readonly "step.finished": StepEvent & {
    readonly status: "COMPLETED" | "FAILED" | "SKIPPED";
    readonly durationMs: number;
    readonly error?: unknown;
  };
  /** The attempt has failed, and the next one follows after `delayMs`. */
  readonly "step.retrying": StepEvent & {
    readonly durationMs: number;
    readonly delayMs: number;
    readonly error: unknown;
  };
  /** The attempt sleeps, and is begun again at that time. */
  readonly "step.sleeping": StepEvent & { readonly durationMs: number; readonly until: Date };
  /** The attempt was given up, as the run is no longer worked on here: nothing of it was stored. */
  readonly "step.interrupted": StepEvent & { readonly durationMs: number };
}

export type EngineEventType = keyof EngineEvents;

export type EngineListener<Type extends EngineEventType> = (
  event: EngineEvents[Type],
) => void | Promise<void>;

export const engineEventTypes = [
  "run.started",
  "run.finished",
  "run.left",
  "step.started",
  "step.finished",
  "step.retrying",
  "step.sleeping",
  "step.interrupted",
] as const satisfies readonly EngineEventType[];
