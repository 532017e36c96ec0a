import type { Clock } from "../../store/clock.ts";
import type { BoundLogger } from "./logger.ts";

/**
 * How the execution of a run ends in this process. `released`: another worker may claim it. `lost`: another worker holds
 * it, or it was deleted. `troubled`: the store failed, and only reading the run again tells what was committed.
 */
export type RunEnding = "completed" | "failed" | "cancelled" | "released" | "lost" | "troubled";

/** Something that this engine did with a run. It never contains a payload. */
interface RunEvent {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowVersion: string;
  /** The number of claims of the run so far. */
  readonly runAttempt: number;
  /** The id of this engine. */
  readonly workerId: string;
  /** By the engine's clock. */
  readonly at: Date;
}

interface StepEvent extends RunEvent {
  readonly stepId: string;
  /** 1 for the first attempt; 0 for a step that did not run because of its condition. */
  readonly attempt: number;
}

/** Why this engine no longer works on a run that has not ended here. `troubled` means that the store failed. */
export type LeaveReason = Exclude<RunEnding, "completed" | "failed">;

/**
 * The events that an engine sends to its listeners, by type. They describe this engine only, and follow the write that
 * they report. A crash between the two loses the event: put what must happen for every run into a step.
 */
export interface EngineEvents {
  /** The run was claimed and continues here. `runAttempt` 1 means that it begins. */
  readonly "run.started": RunEvent;
  /** The run has ended. CANCELLED is sent by the engine whose `cancel` was called. */
  readonly "run.finished": RunEvent & { readonly status: "COMPLETED" | "FAILED" | "CANCELLED" };
  /** This engine no longer works on the run, which has not ended here. */
  readonly "run.left": RunEvent & { readonly reason: LeaveReason };
  /** An attempt begins. The row of a run's first step follows within milliseconds; all other rows are there. */
  readonly "step.started": StepEvent;
  /**
   * The step has ended. `durationMs` is that of the last attempt. With FAILED, `error` is what the attempt threw. For a
   * step whose condition failed, `error` is the stored error.
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
  /** The attempt was abandoned because the run stopped here. Nothing of it was stored. */
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

/** Calls listeners in order and never waits for them. An error of one is logged and affects nothing else. */
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

  /** Calls `listener` until the returned function is called. */
  on<Type extends EngineEventType>(type: Type, listener: EngineListener<Type>): () => void {
    // Each call has its own function, so that the same listener can be added and removed more than once.
    return addTo(this.#listeners, type, (event) => listener(event as EngineEvents[Type]));
  }

  /** Calls `observer` at each event of the run, until the returned function is called. */
  onRun(runId: string, observer: RunEventObserver): () => void {
    return addTo(this.#observers, runId, observer);
  }

  /** `describe` is called only if somebody listens. */
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
      // Each listener has its own event, which it may change.
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

/** Each change makes a new set, so that listeners added during an event hear the next one. */
function addTo<Key, Value>(sets: Map<Key, ReadonlySet<Value>>, key: Key, value: Value): () => void {
  sets.set(key, new Set(sets.get(key)).add(value));
  return () => {
    const rest = new Set(sets.get(key));
    rest.delete(value);
    if (rest.size === 0) sets.delete(key);
    else sets.set(key, rest);
  };
}
