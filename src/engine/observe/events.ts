import type { Clock } from "../../store/clock.ts";
import type { BoundLogger } from "./logger.ts";

/**
 * How the execution of a run ends in this process. `released`: other workers may claim the run. `lost`: another worker
 * holds it, or it was deleted. `troubled`: the store failed, and its last writes may or may not be committed.
 */
export type RunEnding = "completed" | "failed" | "cancelled" | "released" | "lost" | "troubled";

/** An action of this engine on a run. It never contains a payload. */
export interface RunEvent {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowVersion: string;
  /** The number of claims of the run so far. */
  readonly runAttempt: number;
  /** The id of this engine. */
  readonly workerId: string;
  /** The time on the engine's clock. */
  readonly at: Date;
}

export interface StepEvent extends RunEvent {
  readonly stepId: string;
  /** 1 for the first attempt; 0 if the step did not run because of its condition. */
  readonly attempt: number;
}

/** Why this engine no longer executes a run that has not ended here. `troubled` means that the store failed. */
export type LeaveReason = Exclude<RunEnding, "completed" | "failed">;

/**
 * The events that an engine sends to its listeners, by type. They describe only this engine. An event follows the write
 * that it reports, and a crash between the two loses it. Put work that every run needs into a step.
 */
export interface EngineEvents {
  /** The run was claimed and continues here. `runAttempt` 1 means that it begins. */
  readonly "run.started": RunEvent;
  /** The run has ended. CANCELLED is sent by the engine whose `cancel` was called. */
  readonly "run.finished": RunEvent & { readonly status: "COMPLETED" | "FAILED" | "CANCELLED" };
  /** This engine no longer executes the run, which has not ended here. */
  readonly "run.left": RunEvent & { readonly reason: LeaveReason };
  /** An attempt begins. Its row exists, except that of a run's first step, which follows within milliseconds. */
  readonly "step.started": StepEvent;
  /**
   * The step has ended. `durationMs` is the duration of the last attempt. If it FAILED, `error` is the value that the
   * attempt threw, or the stored error if the condition failed.
   */
  readonly "step.finished": StepEvent & {
    readonly status: "COMPLETED" | "FAILED" | "SKIPPED";
    readonly durationMs: number;
    readonly error?: unknown;
  };
  /** The attempt has failed. The next one begins after `delayMs`. */
  readonly "step.retrying": StepEvent & {
    readonly durationMs: number;
    readonly delayMs: number;
    readonly error: unknown;
  };
  /** The attempt sleeps and restarts at `until`. */
  readonly "step.sleeping": StepEvent & { readonly durationMs: number; readonly until: Date };
  /** The attempt was abandoned because the run stopped here. Its result was not stored. */
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

type Stamped = "at" | "workerId";
type RunEventObserver = (type: EngineEventType) => void;
type AnyListener = (event: EngineEvents[EngineEventType]) => void | Promise<void>;

/** Calls listeners in order without waiting for them. Errors of listeners are logged. */
export class EventEmitter {
  readonly #listeners = new Map<EngineEventType, ReadonlySet<AnyListener>>();
  readonly #observers = new Map<string, ReadonlySet<RunEventObserver>>();
  readonly #workerId: string;
  readonly #clock: Clock;
  readonly #logger: BoundLogger;

  constructor(workerId: string, clock: Clock, logger: BoundLogger) {
    this.#workerId = workerId;
    this.#clock = clock;
    this.#logger = logger;
  }

  on<Type extends EngineEventType>(type: Type, listener: EngineListener<Type>): () => void {
    // A new function for each call, so that the same listener can be added more than once.
    return addTo(this.#listeners, type, (event) => listener(event as EngineEvents[Type]));
  }

  /** Calls `observer` at each event of the run, until the returned function is called. */
  onRun(runId: string, observer: RunEventObserver): () => void {
    return addTo(this.#observers, runId, observer);
  }

  /** Calls `describe` only if the event has a listener. */
  emit<Type extends EngineEventType>(
    type: Type,
    runId: string,
    describe: () => Omit<EngineEvents[Type], Stamped>,
  ): void {
    for (const observer of this.#observers.get(runId) ?? []) observer(type);
    const listeners = this.#listeners.get(type);
    if (listeners === undefined) return;
    const event = { ...describe(), workerId: this.#workerId, at: this.#clock() };
    for (const listener of listeners) {
      // Each listener gets its own copy, which it may change.
      void this.#call(listener, type, copyOf(event) as EngineEvents[Type]);
    }
  }

  async #call(
    listener: AnyListener,
    type: EngineEventType,
    event: EngineEvents[EngineEventType],
  ): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      const { runId, workflowId } = event;
      this.#logger.error({ runId, workflowId, type, err: error }, "a listener failed");
    }
  }
}

function copyOf(event: object): object {
  const copy = Object.entries(event).map(([name, value]) => [
    name,
    value instanceof Date ? new Date(value) : value,
  ]);
  return Object.fromEntries(copy) as object;
}

/** Replaces the set, so that listeners added during an event are not called for it. */
function addTo<Key, Value>(sets: Map<Key, ReadonlySet<Value>>, key: Key, value: Value): () => void {
  sets.set(key, new Set(sets.get(key)).add(value));
  return () => {
    const rest = new Set(sets.get(key));
    rest.delete(value);
    if (rest.size === 0) sets.delete(key);
    else sets.set(key, rest);
  };
}
