import { Mutex } from "../../../async/mutex.ts";
import { UnsupportedError } from "../../../errors.ts";
import type { Statement } from "../../../client/local-client.ts";
import { runQueries, type Connection, type Queries, type StatementResult } from "./connection.ts";
import { constraintOf, examine } from "../errors/symptoms.ts";
import { rethrow, translateError } from "../errors/translate.ts";
import type { BoundStatement } from "../statements/statement.ts";

/**
 * Knows whether a statement has ended its transaction, as a trigger that raises ROLLBACK does. A server would commit each
 * later statement.
 */
export class TransactionEnd {
  readonly #tryBegin: () => Promise<unknown>;
  readonly #mutex = new Mutex();
  #isPossible = false;
  #isCertain = false;

  /** `tryBegin` begins a transaction and rolls it back, which an open transaction rejects. */
  constructor(tryBegin: () => Promise<unknown>) {
    this.#tryBegin = tryBegin;
  }

  /**
   * Runs `work` in the transaction after all earlier work, which may end the transaction.
   *
   * @throws {StoreConnectionError} if the transaction is over.
   */
  whileOpen<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      if (this.#isPossible) await this.#look();
      if (this.#isCertain) throw translateError({ code: "TRANSACTION_CLOSED" }, "read");
      try {
        return await work();
      } catch (error) {
        this.#isPossible ||= constraintOf(examine(error)) !== null;
        throw error;
      }
    });
  }

  async #look(): Promise<void> {
    try {
      await this.#tryBegin();
      this.#isCertain = true;
    } catch (error) {
      if (!/within a transaction/.test(examine(error).messages)) throw error;
    }
    this.#isPossible = false;
  }
}

/** Runs the statements of a transaction in order. */
export interface StatementRunner {
  run(
    statements: readonly (Statement & Partial<BoundStatement>)[],
  ): Promise<readonly StatementResult[]>;
}

/**
 * A connection inside a transaction or a savepoint. While a savepoint is open, its parent is refused, because the
 * writes of the parent would be undone with the savepoint.
 */
export class TransactionConnection implements Connection {
  readonly #runner: StatementRunner;
  readonly #depth: number;
  #state: "open" | "in savepoint" | "ended" = "open";
  #nested: TransactionConnection | null = null;

  constructor(runner: StatementRunner, depth = 0) {
    this.#runner = runner;
    this.#depth = depth;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    this.#checkUsable();
    return this.#run(statements);
  }

  snapshot<T>(queries: () => Queries<T>): Promise<T> {
    return runQueries(this, queries());
  }

  async write(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    this.#checkUsable();
    return this.#run(statements);
  }

  async transaction<T>(work: (tx: Connection) => Promise<T>): Promise<T> {
    this.#checkUsable();
    const savepoint = `gorkflow_${this.#depth}`;
    const nested = new TransactionConnection(this.#runner, this.#depth + 1);
    this.#state = "in savepoint";
    this.#nested = nested;
    try {
      await this.#control(`savepoint ${savepoint}`);
      const result = await work(nested).catch(async (error: unknown) => {
        nested.end();
        if (this.#state === "ended") throw error;
        // The caller gets the error of the work, even if the rollback fails too.
        await this.#control(`rollback to ${savepoint}`).catch(() => undefined);
        await this.#control(`release ${savepoint}`).catch(() => undefined);
        throw error;
      });
      this.#checkNotEnded();
      nested.end();
      await this.#control(`release ${savepoint}`);
      return result;
    } finally {
      nested.end();
      this.#nested = null;
      if (this.#state === "in savepoint") this.#state = "open";
    }
  }

  /** Refuses every later use, because the transaction has ended. */
  end(): void {
    this.#state = "ended";
    this.#nested?.end();
  }

  /** Ends the use of this object before the commit. Rolls back a savepoint that is still open. */
  async finish(): Promise<void> {
    const isNested = this.#nested !== null;
    this.end();
    if (isNested) await this.#control(`rollback to gorkflow_${this.#depth}`);
  }

  #run(statements: Parameters<StatementRunner["run"]>[0]): Promise<readonly StatementResult[]> {
    return this.#runner.run(statements).catch(rethrow("read"));
  }

  async #control(sql: string): Promise<void> {
    await this.#run([{ sql, args: [] }]);
  }

  #checkUsable(): void {
    this.#checkNotEnded();
    if (this.#state === "open") return;
    throw new UnsupportedError({
      feature: "transaction",
      reason: "a nested transaction is open: use it, or wait for its end",
    });
  }

  #checkNotEnded(): void {
    if (this.#state !== "ended") return;
    throw new UnsupportedError({ feature: "transaction", reason: "the transaction has ended" });
  }
}
