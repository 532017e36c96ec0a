import type { Client, Transaction } from "@libsql/client";
import { pause } from "../../../async/pause.ts";
import { ConstraintError, GorkflowError, StoreConnectionError } from "../../../errors.ts";
import {
  resultOf,
  runQueries,
  type Connection,
  type Queries,
  type Replica,
  type SignalOptions,
  type StatementResult,
  type WriteOptions,
} from "./connection.ts";
import { examine, isGuardFailure, isStatementFailure } from "../errors/symptoms.ts";
import { rethrow, translateError, type Attempt } from "../errors/translate.ts";
import { ProgramOrder, type Place } from "./program-order.ts";
import { isUndecided, Reconnection, ServerCall } from "./server-call.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { defaultTimeoutMs, within } from "./timeouts.ts";
import { TransactionConnection, TransactionEnd, type StatementRunner } from "./transaction.ts";

/** Options of a connection to a server. */
export interface RemoteOptions {
  /** How long a call may take, in milliseconds. Defaults to 30000. */
  readonly timeoutMs?: number | undefined;
  /** Answers reads if it can. */
  readonly replica?: Replica | undefined;
  /** Finds the reason for an unexplained error: another error, or the same one. */
  readonly explain?: ((error: unknown, attempt: Attempt) => Promise<unknown>) | undefined;
}

/** The limits of a batch, which a server must run within seconds. */
const maxStatementsPerBatch = 1000;
const maxBytesPerBatch = 4 * 1024 * 1024;

/**
 * A connection to a libSQL server, over HTTP or WebSocket.
 *
 * Writes that are issued during a batch are sent together in the next one, in order: one round trip for any number of
 * callers. Guarded batches are sent alone, beside the queue, but after earlier writes to their runs.
 *
 * After a lost connection, calls are sent again for a few seconds: reads always, writes if nothing of them can have
 * been written, because the connection was never made or the server says so. If a write may have taken effect, it is
 * sent again only if it is repeatable, and fails with `outcome: "unknown"` otherwise. Transactions are never repeated.
 * Every call ends within `timeoutMs`.
 */
export class RemoteConnection implements Connection {
  readonly #client: Client;
  readonly #options: RemoteOptions;
  readonly #timeoutMs: number;
  readonly #order = new ProgramOrder();
  readonly #queue: ServerCall[] = [];
  #isDraining = false;
  /** The server has asked for no requests until this time. */
  #quietUntil = 0;
  #reconnectedAt = 0;

  constructor(client: Client, options: RemoteOptions = {}) {
    this.#client = client;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    const { replica } = this.#options;
    const call = new ServerCall(statements, "read", this.#timeoutMs);
    if (replica === undefined) {
      void this.#deliver([call]);
    } else {
      replica.read(statements).then(
        (results) => (results === null ? this.#deliver([call]) : call.succeed(results)),
        (error: unknown) => call.fail(error),
      );
    }
    return call.answer;
  }

  async snapshot<T>(queries: () => Queries<T>): Promise<T> {
    const deadline = performance.now() + this.#timeoutMs;
    const reconnection = new Reconnection();
    for (;;) {
      try {
        await this.#untilQuiet(deadline);
        return await runSnapshot(
          () => this.#client.transaction("read"),
          queries,
          (request) => this.#inTime(request),
        );
      } catch (error) {
        if (!(error instanceof GorkflowError)) throw error;
        await pauseUntil(this.#nextTry(error, reconnection, deadline));
      }
    }
  }

  write(
    statements: readonly BoundStatement[],
    options?: WriteOptions,
  ): Promise<readonly StatementResult[]> {
    const call = new ServerCall(statements, "write", this.#timeoutMs, options);
    const place = this.#order.enterQueued(runIdsOf(statements));
    const enter = () => {
      this.#queue.push(call);
      place.enterQueue();
      if (!this.#isDraining) void this.#drain();
    };
    if (place.turn === null) enter();
    else void place.turn.then(enter);
    return answerOf(call, place);
  }

  writeGuarded(
    statements: readonly BoundStatement[],
    options?: SignalOptions,
  ): Promise<readonly StatementResult[]> {
    const call = new ServerCall(statements, "write", this.#timeoutMs, options);
    const place = this.#order.enterAlone(runIdsOf(statements));
    if (place.turn === null) void this.#deliver([call]);
    else void place.turn.then(() => this.#deliver([call]));
    return answerOf(call, place);
  }

  async transaction<T>(
    work: (tx: Connection) => Promise<T>,
    { signal }: SignalOptions = {},
  ): Promise<T> {
    const deadline = performance.now() + this.#timeoutMs;
    const place = this.#order.enterTransaction();
    try {
      if (place.turn !== null) {
        await within(this.#timeoutMs, place.turn, () => undefined).catch(rethrow("read"));
      }
      await this.#untilQuiet(deadline);
      signal?.throwIfAborted();
      return await runTransaction(
        () => this.#client.transaction("write"),
        work,
        (request) => this.#inTime(request),
      );
    } finally {
      place.leave();
    }
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    // All calls of this turn of the event loop are in one batch.
    await Promise.resolve();
    // One batch at a time, to keep the order.
    while (this.#queue.length > 0) await this.#deliver(this.#nextCalls());
    this.#isDraining = false;
  }

  #nextCalls(): ServerCall[] {
    let statements = 0;
    let bytes = 0;
    let count = 0;
    for (const call of this.#queue) {
      statements += call.statements.length;
      bytes += sizeOf(call);
      if (count > 0 && (statements > maxStatementsPerBatch || bytes > maxBytesPerBatch)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** Sends the calls as one batch until each has an answer. Never rejects. */
  async #deliver(given: readonly ServerCall[], reconnection = new Reconnection()): Promise<void> {
    let calls = given;
    for (;;) {
      calls = await this.#untilSent(calls);
      const [first] = calls;
      if (first === undefined) return;
      const { attempt } = first;
      for (const call of calls) call.noteSending();
      try {
        const results = await this.#send(
          calls.flatMap((call) => call.statements),
          attempt,
        );
        let start = 0;
        for (const call of calls) {
          const end = start + call.statements.length;
          call.succeed(results.slice(start, end));
          start = end;
        }
        return;
      } catch (error) {
        const translated = translateError(error, attempt);
        for (const call of calls) call.noteFailure(translated);
        // A replica uses one code for a failed statement and for the loss of its primary.
        if (calls.length > 1 && isStatementFailure(error) && !isUndecided(translated)) {
          // One call failed and the whole batch was undone: each call is sent alone.
          if (translated instanceof ConstraintError || isGuardFailure(error)) {
            for (const call of calls) call.noteUndone();
          }
          for (const call of calls) await this.#deliver([call], reconnection);
          return;
        }
        calls = await this.#untilNextTry(calls, translated, reconnection);
      }
    }
  }

  /** Waits until the next try, and returns the calls that are sent again. The others have failed. */
  async #untilNextTry(
    calls: readonly ServerCall[],
    error: GorkflowError,
    reconnection: Reconnection,
  ): Promise<readonly ServerCall[]> {
    const again = isUndecided(error) ? calls.filter((call) => call.repeatable) : calls;
    for (const call of calls) if (!again.includes(call)) call.fail(error);
    if (again.length === 0) return again;
    try {
      const latest = Math.max(...again.map(({ deadline }) => deadline));
      await pauseUntil(this.#nextTry(error, reconnection, latest));
    } catch (final) {
      for (const call of again) call.fail(final);
    }
    return again;
  }

  #nextTry(error: GorkflowError, reconnection: Reconnection, deadline: number): number {
    const at = reconnection.nextTry(error, deadline);
    if (examine(error.cause).retryAfterMs !== null)
      this.#quietUntil = Math.max(this.#quietUntil, at);
    return at;
  }

  async #untilQuiet(deadline: number): Promise<void> {
    if (this.#quietUntil >= deadline) throw quietError();
    if (this.#quietUntil > performance.now()) await pauseUntil(this.#quietUntil);
  }

  /** Waits until the server accepts requests, and returns the calls that still wait for an answer. */
  async #untilSent(calls: readonly ServerCall[]): Promise<readonly ServerCall[]> {
    for (;;) {
      const open = calls.filter(({ isOpen }) => isOpen);
      const quietUntil = this.#quietUntil;
      if (open.length === 0 || performance.now() >= quietUntil) return open;
      for (const call of open) if (call.deadline <= quietUntil) call.fail(quietError());
      await pauseUntil(Math.min(quietUntil, ...open.map(({ deadline }) => deadline)));
    }
  }

  async #send(
    statements: readonly BoundStatement[],
    attempt: Attempt,
  ): Promise<readonly StatementResult[]> {
    const { explain } = this.#options;
    const [only, ...others] = statements;
    try {
      // A single read needs no transaction.
      const results = await this.#inTime(
        attempt === "read" && only !== undefined && others.length === 0
          ? this.#client.execute({ sql: only.sql, args: only.args }).then((result) => [result])
          : this.#client.batch(
              statements.map(({ sql, args }) => ({ sql, args })),
              attempt,
            ),
      );
      return results.map(resultOf);
    } catch (error) {
      throw explain === undefined ? error : await explain(error, attempt);
    }
  }

  #inTime<T>(request: Promise<T>): Promise<T> {
    const sentAt = performance.now();
    return within(this.#timeoutMs, request, () => this.#abandon(sentAt));
  }

  /** Gives up a WebSocket that does not answer. Over HTTP each request ends its own connection. */
  #abandon(sentAt: number): void {
    if (this.#client.protocol !== "ws" || sentAt < this.#reconnectedAt) return;
    this.#reconnectedAt = performance.now();
    // This fails if the server is still unreachable. The next call connects again.
    void Promise.resolve(this.#client.reconnect()).catch(() => undefined);
  }
}

function quietError(): StoreConnectionError {
  const reason =
    "the server has too many requests, and asks for a longer pause than the call has time for";
  return new StoreConnectionError({ reason, retryable: true });
}

function pauseUntil(time: number): Promise<void> {
  return pause(Math.max(0, time - performance.now()));
}

function answerOf(call: ServerCall, place: Place): Promise<readonly StatementResult[]> {
  void call.ended.then(place.leave);
  return call.answer;
}

function runIdsOf(statements: readonly BoundStatement[]): ReadonlySet<string> {
  const runIds = new Set<string>();
  for (const { runId } of statements) if (runId !== null) runIds.add(runId);
  return runIds;
}

function sizeOf({ statements }: ServerCall): number {
  let bytes = 0;
  for (const { sql, args } of statements) {
    bytes += sql.length;
    for (const argument of args) bytes += typeof argument === "string" ? argument.length : 8;
  }
  return bytes;
}

/** A commit is never repeated, so its outcome is unknown unless the database itself has answered. */
function translateCommitError(error: unknown): GorkflowError {
  const translated = translateError(error, "write");
  if (examine(error).status === null) return translated;
  const { message: reason, retryable } = translated;
  return isUndecided(translated)
    ? translated
    : new StoreConnectionError({ reason, retryable, outcome: "unknown" }, { cause: error });
}

type InTime = <Answer>(request: Promise<Answer>) => Promise<Answer>;

/**
 * Runs `work` in a transaction of `@libsql/client`. Commits if it returns, and rolls back if it throws. `inTime` limits
 * the time of each request.
 */
export async function runTransaction<T>(
  begin: () => Promise<Transaction>,
  work: (tx: Connection) => Promise<T>,
  inTime: InTime = (request) => request,
): Promise<T> {
  const transaction = await inTime(begin()).catch(rethrow("write"));
  const connection = new TransactionConnection(runnerOf(transaction, inTime));
  try {
    const result = await work(connection);
    await connection.finish();
    await inTime(transaction.commit()).catch((error: unknown) => {
      throw translateCommitError(error);
    });
    return result;
  } catch (error) {
    connection.end();
    // The caller gets the error of the work, even if the rollback fails too.
    await inTime(transaction.rollback()).catch(() => undefined);
    throw error;
  } finally {
    transaction.close();
  }
}

/** Runs queries in a reading transaction of `@libsql/client`. Does not wait for the end of the transaction. */
export async function runSnapshot<T>(
  begin: () => Promise<Transaction>,
  queries: () => Queries<T>,
  inTime: InTime = (request) => request,
): Promise<T> {
  const transaction = await inTime(begin()).catch(rethrow("read"));
  try {
    return await runQueries(new TransactionConnection(runnerOf(transaction, inTime)), queries());
  } finally {
    transaction.close();
  }
}

function runnerOf(transaction: Transaction, inTime: InTime): StatementRunner {
  const end = new TransactionEnd(() => inTime(transaction.executeMultiple("begin; rollback")));
  return {
    run: (statements) =>
      end.whileOpen(async () => {
        const [only, ...others] = statements;
        if (only !== undefined && others.length === 0) {
          const request = transaction.execute({ sql: only.sql, args: [...only.args] });
          return [resultOf(await inTime(request))];
        }
        const results = await inTime(
          transaction.batch(statements.map(({ sql, args }) => ({ sql, args: [...args] }))),
        );
        return results.map(resultOf);
      }),
  };
}
