import type { LibSQLDatabase } from "../../drizzle-types.ts";
import type { HostTransactions } from "../../store/transactions.ts";

/** What Drizzle's `db.transaction` hands out: the transaction of an app on `LibSQLStore`. */
export type DrizzleTransaction = Parameters<
  Parameters<LibSQLDatabase<{}, Record<string, unknown>>["transaction"]>[0]
>[0];

declare const transactionOutput: unique symbol;

/**
 * What `ctx.transaction` returns: work that the engine does when the step has returned this.
 *
 * It is no promise. Nothing has happened when a step holds one, so a step that returns something else instead
 * can still be refused, with nothing committed.
 */
export class StepTransaction<Output> {
  /** For the compiler alone: never there at run time. */
  declare readonly [transactionOutput]?: Output;
  readonly host: HostTransactions;
  readonly work: (transaction: unknown) => Promise<unknown>;

  constructor(host: HostTransactions, work: (transaction: unknown) => Promise<unknown>) {
    this.host = host;
    this.work = work;
  }
}
