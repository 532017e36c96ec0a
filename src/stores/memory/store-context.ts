import type { Clock } from "../../store/clock.ts";
import type { Tables } from "./tables.ts";

/** What the operations of a store work with. */
export interface StoreContext {
  readonly clock: Clock;
  /** Runs a read when the store is open and the signal not aborted; it sees committed rows. */
  read<T>(signal: AbortSignal | undefined, operation: (tables: Tables) => T): Promise<T>;
  /** Runs a write likewise, after the transactions before it. One that throws must have changed nothing. */
  write<T>(signal: AbortSignal | undefined, operation: (tables: Tables) => T): Promise<T>;
}

/** A write whose arguments are checked and encoded. It changes nothing when it throws. */
export type PlannedWrite<T> = (tables: Tables) => T;

/** One whose result is made when it is asked for, right after it: batches have no use for results. */
export type PlannedChange<T> = PlannedWrite<() => T>;

export function withResult<T>(change: PlannedChange<T>): PlannedWrite<T> {
  return (tables) => change(tables)();
}
