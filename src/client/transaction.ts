import type { InArgs, InStatement, IntMode, ResultSet } from "@libsql/client";
import { Mutex } from "../async/mutex.ts";
import { dueTurn } from "../async/pause.ts";
import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { LocalTransaction, Statement, StatementResult } from "./local-client.ts";
import type { NativeConnection } from "./native-connection.ts";
import { toBatchError, transactionClosed } from "./sqlite-errors.ts";
import { takeBatch, takeStatement } from "./statements.ts";

/** A connection inside a transaction. `release` rolls back uncommitted changes and returns the connection. */
export interface TransactionLease {
  readonly connection: NativeConnection;
  /** True for a reading transaction. Its first statement may meet a lock, and can be run again. */
  readonly mayMeetLocks?: boolean;
  release(): void;
}

export class OpenTransaction implements LocalTransaction {
  readonly #lease: TransactionLease;
  readonly #intMode: IntMode;
  readonly #busyTimeoutMs: number;
  readonly #mutex = new Mutex();
  #settled = false;

  constructor(
    lease: TransactionLease,
    { intMode, busyTimeoutMs }: Pick<LocalDatabaseSettings, "intMode" | "busyTimeoutMs">,
  ) {
    this.#lease = lease;
    this.#intMode = intMode;
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  get closed(): boolean {
    return this.#settled || !this.#lease.connection.inTransaction;
  }

  async execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    const given = takeStatement(statement, this.#intMode, args);
    return this.#perform(() => this.#connection().execute(given, this.#intMode));
  }

  async batch(statements: InStatement[]): Promise<ResultSet[]> {
    const given = takeBatch(statements, this.#intMode);
    return this.#perform(() =>
      eachInOrder(given, (statement) => this.#connection().execute(statement, this.#intMode)),
    );
  }

  async run(statements: readonly Statement[]): Promise<StatementResult[]> {
    return this.#perform(() =>
      eachInOrder(statements, (statement) => this.#connection().run(statement)),
    );
  }

  async executeMultiple(sql: string): Promise<void> {
    return this.#inOrder(() => this.#use(() => this.#connection().runScript(sql)));
  }

  async commit(): Promise<void> {
    return this.#inOrder(async () => {
      try {
        // Without a write-ahead log, readers delay the commit.
        await retryWhileBusy(() => this.#connection().exec("commit"), this.#busyTimeoutMs);
      } finally {
        this.close();
      }
    });
  }

  async rollback(): Promise<void> {
    return this.#inOrder(() => this.close());
  }

  close(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#lease.release();
  }

  /** Runs `work` in order, and again while a reading transaction meets a lock. */
  #perform<T>(work: () => T): Promise<T> {
    const run = () => this.#use(work);
    return this.#inOrder(() =>
      this.#lease.mayMeetLocks ? retryWhileBusy(run, this.#busyTimeoutMs) : run(),
    );
  }

  /** Runs `work` after all earlier calls, and after a turn of the event loop if one is due. */
  #inOrder<T>(work: () => T | Promise<T>): Promise<T> {
    return this.#mutex.run(() => {
      const turn = dueTurn();
      return turn === null ? work() : turn.then(work);
    });
  }

  /** Runs `work`. If it ends the transaction, returns the connection, because the caller may not close it then. */
  #use<T>(work: () => T): T {
    try {
      return work();
    } finally {
      if (this.closed) this.close();
    }
  }

  #connection(): NativeConnection {
    if (this.closed) throw transactionClosed();
    return this.#lease.connection;
  }
}

/** The result of each statement. An error has the index of its statement. */
export function eachInOrder<S, T>(statements: readonly S[], run: (statement: S) => T): T[] {
  return statements.map((statement, index) => {
    try {
      return run(statement);
    } catch (error) {
      throw toBatchError(error, index);
    }
  });
}
