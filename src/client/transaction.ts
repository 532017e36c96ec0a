import type { InArgs, InStatement, IntMode, ResultSet } from "@libsql/client";
import { toNativeArguments } from "./bound-values.ts";
import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { LocalTransaction, Statement, StatementResult } from "./local-client.ts";
import type { NativeConnection } from "./native-connection.ts";
import { toBatchError, transactionClosed } from "./sqlite-errors.ts";
import { normalize } from "./statements.ts";
import type { Turns } from "./turns.ts";

/** A connection inside a transaction, on loan until `release`, which rolls back what was not committed. */
export interface TransactionLease {
  readonly connection: NativeConnection;
  release(): void;
}

export class OpenTransaction implements LocalTransaction {
  readonly #lease: TransactionLease;
  readonly #intMode: IntMode;
  readonly #busyTimeoutMs: number;
  readonly #turns: Turns;
  /** The last call that waits for a turn of the event loop; null if none does. */
  #lastInTurn: Promise<void> | null = null;
  #settled = false;

  constructor(
    lease: TransactionLease,
    { intMode, busyTimeoutMs }: Pick<LocalDatabaseSettings, "intMode" | "busyTimeoutMs">,
    turns: Turns,
  ) {
    this.#lease = lease;
    this.#intMode = intMode;
    this.#busyTimeoutMs = busyTimeoutMs;
    this.#turns = turns;
  }

  get closed(): boolean {
    return this.#settled || !this.#lease.connection.inTransaction;
  }

  async execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    const { sql, args: given } = normalize(statement, args);
    const bound = { sql, args: toNativeArguments(given, this.#intMode) };
    return this.#inOrder(() => this.#connection().execute(bound, this.#intMode));
  }

  async batch(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#inOrder(() =>
      eachInOrder(statements, (statement) =>
        this.#connection().execute(normalize(statement), this.#intMode),
      ),
    );
  }

  async run(statements: readonly Statement[]): Promise<StatementResult[]> {
    return this.#inOrder(() =>
      eachInOrder(statements, (statement) => this.#connection().run(statement)),
    );
  }

  async executeMultiple(sql: string): Promise<void> {
    return this.#inOrder(() => this.#connection().runScript(sql));
  }

  async commit(): Promise<void> {
    return this.#inOrder(async () => {
      try {
        // A reader delays it, unless the journal is a write-ahead log.
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

  /** Runs `work` behind what was issued before: at once, unless that or the event loop has to have a turn. */
  #inOrder<T>(work: () => T | Promise<T>): T | Promise<T> {
    const turn = this.#lastInTurn ?? this.#turns.due();
    if (turn === null) return work();
    const result = turn.then(work);
    const leave = () => {
      if (this.#lastInTurn === last) this.#lastInTurn = null;
    };
    const last = result.then(leave, leave);
    this.#lastInTurn = last;
    return result;
  }

  #connection(): NativeConnection {
    if (this.closed) throw transactionClosed();
    return this.#lease.connection;
  }
}

/** What each statement gives; the error of one says which it was. */
export function eachInOrder<S, T>(statements: readonly S[], run: (statement: S) => T): T[] {
  return statements.map((statement, index) => {
    try {
      return run(statement);
    } catch (error) {
      throw toBatchError(error, index);
    }
  });
}
