import type { Clock } from "../../store/clock.ts";
import type { EngineEvents, EngineEventType, EngineListener } from "./engine-events.ts";
import type { BoundLogger } from "./logger.ts";

type Stamped = "at" | "workerId";

/** Calls listeners, one after the other, and never waits for them. What one throws is reported, and ends there. */
export class EventEmitter {
  readonly #listeners = new Map<EngineEventType, ReadonlySet<EngineListener<EngineEventType>>>();
  readonly #observers = new Map<string, ReadonlySet<() => void>>();
  readonly #workerId: string;
  readonly #clock: Clock;
  readonly #logger: BoundLogger;

  constructor({
    workerId,
    clock,
    logger,
  }: {
    workerId: string;
    clock: Clock;
    logger: BoundLogger;
  }) {
    this.#workerId = workerId;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Calls `listener` from now on, until what is returned is called. */
  on<Type extends EngineEventType>(type: Type, listener: EngineListener<Type>): () => void {
    // A function of its own for each call: the same listener may be there twice, and goes one at a time.
    const entry = (event: EngineEvents[EngineEventType]): void | Promise<void> =>
      listener(event as EngineEvents[Type]);
    return addTo(this.#listeners, type, entry);
  }

  /** Calls `observer` whenever something has happened with the run. */
  onRun(runId: string, observer: () => void): () => void {
    return addTo(this.#observers, runId, observer);
  }

  emit<Type extends EngineEventType>(type: Type, event: Omit<EngineEvents[Type], Stamped>): void {
    for (const observer of this.#observers.get(event.runId) ?? []) observer();
    const listeners = this.#listeners.get(type);
    if (listeners === undefined) return;
    const stamps: Pick<EngineEvents[Type], Stamped> = {
      workerId: this.#workerId,
      at: this.#clock(),
    };
    for (const listener of listeners) {
      // Each gets an event of its own: what one does with it is no other's business.
      void this.#tell(listener, type, withOwnDates({ ...event, ...stamps }));
    }
  }

  async #tell(
    listener: EngineListener<EngineEventType>,
    type: EngineEventType,
    event: EngineEvents[EngineEventType],
  ): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      const { runId, workflowId } = event;
      this.#logger.error({ runId, workflowId, type, err: error }, "a listener has failed");
    }
  }
}

function withOwnDates<Event extends object>(event: Event): Event {
  const dates = Object.entries(event).filter(([, value]) => value instanceof Date);
  for (const [name, date] of dates) Object.assign(event, { [name]: new Date(date as Date) });
  return event;
}

/** Each change makes a new set: an event under way is for those that were there when it began. */
function addTo<Key, Value>(sets: Map<Key, ReadonlySet<Value>>, key: Key, value: Value): () => void {
  sets.set(key, new Set(sets.get(key)).add(value));
  return () => {
    const rest = new Set(sets.get(key));
    rest.delete(value);
    if (rest.size === 0) sets.delete(key);
    else sets.set(key, rest);
  };
}
