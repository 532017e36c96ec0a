import { sql } from "drizzle-orm";
import type { AppTransaction } from "../../../drizzle-types.ts";
import { UnsupportedError } from "../../../errors.ts";
import {
  resultOf,
  runQueries,
  type Connection,
  type Queries,
  type StatementResult,
} from "./connection.ts";
import { rethrow, translateError, type Attempt } from "../errors/translate.ts";
import type { BoundStatement, Database } from "../statements/statement.ts";
import { TransactionEnd } from "./transaction.ts";

const noResult: StatementResult = { rows: [], changes: 0 };

/** A connection inside an app's transaction. Statements are built for it, and the app ends it. */
export class HostConnection implements Connection {
  readonly #transaction: Database;
  readonly #end: TransactionEnd;
  #nested = false;

  /** `end` is that of the transaction around a nested one. */
  constructor(transaction: Database, end?: TransactionEnd) {
    this.#transaction = transaction;
    this.#end =
      end ??
      new TransactionEnd(async () => {
        await transaction.run(sql`begin`);
        await transaction.run(sql`rollback`);
      });
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    return this.#run(statements);
  }

  snapshot<T>(queries: () => Queries<T>): Promise<T> {
    return runQueries(this, queries());
  }

  async write(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    return this.#run(statements);
  }

  async transaction<T>(work: (tx: Connection) => Promise<T>): Promise<T> {
    this.#checkUsable();
    this.#nested = true;
    try {
      return await runHostTransaction(this.#transaction, "read", (nested) =>
        work(new HostConnection(nested, this.#end)),
      );
    } finally {
      this.#nested = false;
    }
  }

  async #run(statements: readonly BoundStatement[]): Promise<StatementResult[]> {
    this.#checkUsable();
    return this.#end
      .whileOpen(async () => {
        const results: StatementResult[] = [];
        let before = noResult;
        for (const statement of statements) {
          const isNeeded = !statement.unlessChanged || before.changes === 0;
          // In order, because a statement may depend on the changes of an earlier one.
          const result = isNeeded
            ? resultOf(await this.#transaction.run(statement.build(this.#transaction)))
            : noResult;
          results.push(result);
          if (!statement.unlessChanged) before = result;
        }
        return results;
      })
      .catch(rethrow("read"));
  }

  #checkUsable(): void {
    if (!this.#nested) return;
    throw new UnsupportedError({
      feature: "transaction",
      reason: "a nested transaction is open: use it, or wait for its end",
    });
  }
}

/**
 * Runs `work` in a transaction of an app's database. Rejects with the error that `explain` makes of the error of `work`,
 * also if the rollback fails, because Drizzle would then reject with the error of the rollback.
 */
export async function runHostTransaction<T>(
  database: Pick<Database, "transaction">,
  attempt: Attempt,
  work: (transaction: AppTransaction) => Promise<T>,
  explain: (transaction: AppTransaction, error: unknown) => unknown = (_, error) => error,
): Promise<T> {
  let failure: { readonly error: unknown } | null = null;
  try {
    return await database.transaction(async (transaction) => {
      try {
        return await work(transaction);
      } catch (error) {
        failure = { error: await explain(transaction, error) };
        throw error;
      }
    });
  } catch (error) {
    throw failure === null ? translateError(error, attempt) : (failure as { error: unknown }).error;
  }
}
